// The line that tells how the connection stands, calmly: nothing for a moment's hiccup, and the countdown is not read out.

const CALM = 700; // ms of trouble before it shows

export function createStatus({ el, words, tryNow }) {
	const { status: line, statusText: text, statusCount: count, statusNow: now } = el;
	let state = { phase: 'idle', reason: '', retryAt: 0 };
	let since = Date.now(); // when it was last well
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
		const early = since + CALM - Date.now();
		const shown = phase === 'refused' || (!isWell() && early <= 0);
		const left = shown && phase === 'waiting' ? Math.max(0, retryAt - Date.now()) : 0;
		const said = shown ? sentence(state) : '';
		if (text.textContent !== said) text.textContent = said;
		line.classList.toggle('shown', shown);
		count.textContent = left ? words.t('status.in', { n: words.number(Math.ceil(left / 1000)) }) : '';
		now.hidden = !shown || (phase !== 'waiting' && phase !== 'refused');
		now.textContent = words.t('status.now');
		if (left) timer = setTimeout(draw, left % 1000 || 1000);
		else if (!shown && !isWell()) timer = setTimeout(draw, early);
	}

	now.addEventListener('click', tryNow);
	return {
		draw,
		show(next) {
			if (isWell()) since = Date.now();
			state = next;
			draw();
		},
	};
}
