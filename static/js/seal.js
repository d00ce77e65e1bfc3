// The button. Every way of pressing counts once: pointer, Space, Enter, and the click of assistive technology.

import { WORD } from './text.js';

const APART = 1200; // ms without a press, and the count of them starts over

export function createSeal({ el: { seal: button, waiting: badge, streak }, words, press }) {
	let inARow = 0;
	let timer = 0;

	function count(n) {
		inARow = n;
		streak.hidden = n < 2;
		streak.textContent = `×${words.number(n)}`;
	}

	function pressed() {
		clearTimeout(timer);
		timer = setTimeout(count, APART, 0);
		count(inARow + 1);
		button.classList.remove('struck');
		void button.offsetWidth; // so that the animation starts over
		button.classList.add('struck');
		navigator.vibrate?.(12);
		press();
	}

	button.addEventListener('pointerdown', (event) => event.button === 0 && pressed());
	button.addEventListener('keydown', (event) => {
		if (event.key !== 'Enter' && event.key !== ' ') return;
		event.preventDefault(); // no click of its own, no scrolling
		if (!event.repeat) pressed();
	});
	button.addEventListener('keyup', (event) => event.key === ' ' && event.preventDefault());
	// detail counts pointer clicks: at 0 no pointer made this one, and no pointerdown went before it.
	button.addEventListener('click', (event) => event.detail === 0 && pressed());
	button.addEventListener('contextmenu', (event) => event.preventDefault());

	return {
		/** live: presses go out now; waiting: how many have not; cooling: the server asked for a pause. */
		show({ live, waiting, cooling }) {
			const n = words.number(waiting);
			button.classList.toggle('off', !live);
			button.classList.toggle('cooling', live && cooling);
			badge.hidden = !waiting;
			badge.textContent = `+${n}`;
			button.setAttribute('aria-label', waiting ? words.t('seal.waiting', { n }) : WORD);
		},
	};
}
