// The button. A press by pointer, Space, Enter or the click of assistive technology counts exactly once.

import { WORD } from './text.js';

const APART = 1200; // ms. After such a pause the count of presses in a row starts again

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
		void button.offsetWidth; // restarts the animation
		button.classList.add('struck');
		navigator.vibrate?.(12);
		press();
	}

	button.addEventListener('pointerdown', (event) => event.button === 0 && pressed());
	button.addEventListener('keydown', (event) => {
		if (event.key !== 'Enter' && event.key !== ' ') return;
		event.preventDefault(); // prevents a second click and scrolling
		if (!event.repeat) pressed();
	});
	button.addEventListener('keyup', (event) => event.key === ' ' && event.preventDefault());
	// detail is the number of pointer clicks. At 0 no pointer made this click, so there was no pointerdown.
	button.addEventListener('click', (event) => event.detail === 0 && pressed());
	button.addEventListener('contextmenu', (event) => event.preventDefault());

	return {
		/** live: presses are sent at once. waiting: the number of presses that are not sent yet. cooling: the server asked for a pause. */
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
