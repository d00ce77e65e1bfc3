// The keyboard of a phone. iOS shows it over the page, even if the viewport in index.html asks for something else. So the page shrinks to
// the part that is left.

const LEAST = 120; // px. A smaller difference comes from a bar of the browser

/** view is window.visualViewport, or undefined. */
export function watchKeyboard(view) {
	const { classList, style } = document.body;

	function fit() {
		const covered = innerHeight - view.height * view.scale;
		const isOpen = covered > LEAST && view.scale < 1.01; // false while the reader has zoomed in
		classList.toggle('typing', isOpen);
		style.setProperty('--covered', `${isOpen ? covered : 0}px`);
		style.setProperty('--pan', `${isOpen ? view.offsetTop : 0}px`);
	}

	for (const event of ['resize', 'scroll']) view?.addEventListener(event, fit);
}
