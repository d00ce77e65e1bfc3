// A phone's keyboard. iOS lays it over the page, whatever the viewport line asks: there the page shrinks to what is left of it.

const LEAST = 120; // px; what covers less is a bar of the browser's

/** view is the window's visualViewport, where there is one. */
export function watchKeyboard(view) {
	const { classList, style } = document.body;

	function fit() {
		const covered = innerHeight - view.height * view.scale;
		const isOpen = covered > LEAST && view.scale < 1.01; // not zoomed in by hand
		classList.toggle('typing', isOpen);
		style.setProperty('--covered', `${isOpen ? covered : 0}px`);
		style.setProperty('--pan', `${isOpen ? view.offsetTop : 0}px`);
	}

	for (const event of ['resize', 'scroll']) view?.addEventListener(event, fit);
}
