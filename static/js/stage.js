// Shouts appear here for a moment, behind the log. They are not read out, and they do not stay.

import { h } from './dom.js';
import { hash, hueOf, WORD } from './text.js';

const ALIVE = 40; // nodes at the same time, including the counter. The counter counts the shouts beyond these
const LIFE = 900; // ms
const PULSE = 340; // ms between two flashes of the background: fewer than 3 a second
const TURN = 8; // degrees at most

/** Where a sender's shouts appear, in percent, and how they are turned. In a wide window they appear beside the log. */
export function spotOf(sender, wide) {
	const seed = hash(sender);
	const u = ((seed >>> 4) % 997) / 997;
	const v = ((seed >>> 14) % 991) / 991;
	const x = !wide ? 16 + u * 68 : u < 0.5 ? 8 + u * 14 : 85 + (u - 0.5) * 14;
	return { x, y: 14 + v * 60, turn: (((seed >>> 8) % 1000) / 500 - 1) * TURN };
}

export function createStage({ el: { stage }, words }) {
	const still = matchMedia('(prefers-reduced-motion: reduce)');
	const times = (n) => `×${words.number(n)}`;
	let alive = 0;
	let burst = 0; // shouts beyond ALIVE since the counter appeared
	let counter = null;
	let quietAt = 0;
	let pulsedAt = 0;
	let due = false;

	function stamp(sender, n) {
		const wide = innerWidth >= 1100;
		const { x, y, turn } = spotOf(sender, wide);
		const size = Math.min(120, 28 + 6 * n);
		// The shout appears near the sender's spot and within the stage. The more shouts there are, the wider they spread.
		const near = (spot, range, least, most) =>
			Math.max(least + range / 2, Math.min(spot, most - range / 2)) + (Math.random() - 0.5) * range;
		const half = size * (n > 1 ? 2.1 : 1.6) + 8; // half the width plus a margin
		const left = near((x * innerWidth) / 100, innerWidth / 20, half, innerWidth - half);
		const node = h('span', { class: `stamp h${hueOf(sender)}`, lang: 'ja', text: WORD });
		if (n > 1) node.append(h('small', { text: times(n) }));
		node.style.setProperty('left', `${left}px`);
		node.style.setProperty('top', `${near(y, Math.min(5 + 4 * alive, 50), 12, wide ? 84 : 66)}%`);
		node.style.setProperty('--turn', `${turn}deg`);
		node.style.setProperty('--size', `${size}px`);
		alive++;
		stage.append(node);
		setTimeout(() => {
			node.remove();
			alive--;
		}, LIFE);
	}

	function tick() {
		due = false;
		if (!counter) {
			stage.append((counter = h('span', { class: 'burst' })));
			setTimeout(end, LIFE);
		}
		counter.textContent = times(burst);
		if (performance.now() - pulsedAt < PULSE) return;
		pulsedAt = performance.now();
		stage.classList.remove('warm');
		void stage.offsetWidth;
		stage.classList.add('warm');
	}

	function end() {
		const left = quietAt - performance.now();
		if (left > 0) return setTimeout(end, left);
		counter.remove();
		counter = null;
		burst = 0;
	}

	return {
		shout(sender, n) {
			if (document.hidden || still.matches) return;
			if (alive < ALIVE - 1) return stamp(sender, n);
			burst += n;
			quietAt = performance.now() + LIFE;
			if (!due) requestAnimationFrame(tick);
			due = true;
		},
	};
}
