// What was said here and has not come back: rows under the log, outside of it, so that nothing is read out twice.

import { h, reconcile } from './dom.js';
import { cry } from './rows.js';

const SHOWN = 20;

export function createPending({ el: { pending }, outbox, words, rows, isLive }) {
	const nodes = new Map();

	function make(row) {
		const said = row.entry.shouts ? cry() : rows.body(row.entry.text);
		const node = h('div', { class: 'row pending' }, h('span', { class: 'who' }), said, h('span', { class: 'fate' }));
		update(node, row);
		return node;
	}

	function update(node, { entry }) {
		const [, said, slot] = node.children;
		if (entry.shouts > 1) said.lastChild.textContent = `×${words.number(entry.shouts)}`;
		const failed = entry.state === 'failed';
		const fate = failed ? entry.code : isLive() ? 'sending' : 'queued';
		if (node.dataset.fate === fate) return;
		node.dataset.fate = fate;
		node.classList.toggle('failed', failed);
		if (!failed) return slot.replaceChildren(h('span', { class: fate, text: words.t(`log.${fate}`) }));
		const why = words.has(`error.${entry.code}`) ? entry.code : 'unknown';
		const button = (key, click) => h('button', { type: 'button', class: 'quiet', text: words.t(key), click });
		slot.replaceChildren(
			words.t(`error.${why}`),
			button('log.retry', () => outbox.retry(entry.id)),
			button('log.discard', () => outbox.drop(entry.id)),
		);
	}

	function sync() {
		const shown = outbox.entries.slice(-SHOWN).map((entry) => ({ key: entry.id, entry }));
		reconcile(pending, nodes, shown, make, update);
		pending.hidden = !shown.length;
	}

	return {
		sync,
		rebuild() {
			nodes.clear();
			pending.replaceChildren();
			sync();
		},
	};
}
