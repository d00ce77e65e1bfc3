// The button. Every way of pressing counts once: pointer, Space, Enter, and the click of assistive technology.

import { WORD } from './text.js';

export function createSeal({ el: { seal: button, waiting: badge }, words, press }) {
	function pressed() {
		button.classList.remove('struck');
		void button.offsetWidth; // so that the animation starts over
		button.classList.add('struck');
		if (navigator.userActivation?.hasBeenActive !== false) navigator.vibrate?.(12);
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
