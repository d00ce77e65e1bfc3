// The line that shows trouble with the connection if the trouble lasts. The countdown is not read out.

import { put } from './dom.js';

const CALM = 700; // ms of trouble before the line appears

export function createStatus({ el, words, tryNow, clock }) {
	const { status: line, statusText: text, statusCount: count, statusNow: now } = el;
	let state = { phase: 'idle', reason: '', retryAt: 0 };
	let wellAt = clock.now(); // when there was last no trouble
	let timer = 0;
	const isWell = () => state.phase === 'live' || state.phase === 'idle';

	function sentence({ phase, reason }) {
		const key = [`close.${reason}`, `error.${reason}`].find((k) => words.has(k));
		const why = key ? words.t(key) : '';
		if (phase === 'refused') return why || words.t('status.refused', { code: reason });
		if (navigator.onLine === false) return words.t('status.offline');
		return (phase === 'waiting' && why) || words.t(`status.${phase}`);
	}

	function draw() {
		clearTimeout(timer);
		const { phase, retryAt } = state;
		const early = wellAt + CALM - clock.now();
		const shown = phase === 'refused' || (!isWell() && early <= 0);
		const left = shown && phase === 'waiting' ? Math.max(0, retryAt - clock.now()) : 0;
		const said = shown ? sentence(state) : '';
		put(text, said);
		line.classList.toggle('shown', shown);
		put(count, left ? words.t('status.in', { n: words.number(Math.ceil(left / 1000)) }) : '');
		now.hidden = !shown || (phase !== 'waiting' && phase !== 'refused');
		put(now, words.t('status.now'));
		if (left) timer = setTimeout(draw, left % 1000 || 1000);
		else if (!shown && !isWell()) timer = setTimeout(draw, early);
	}

	now.addEventListener('click', tryNow);
	return {
		draw,
		show(next) {
			if (isWell()) wellAt = clock.now();
			state = next;
			draw();
		},
	};
}
