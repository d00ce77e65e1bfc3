// Messages of this tab that have not come back yet. Their rows are below the log and outside of it, so that a screen reader does not read
// them twice.

import { h, put, reconcile } from './dom.js';
import { cry } from './rows.js';

const SHOWN = 20;

/** edit(text) puts a text back into the field. */
export function createPending({ el: { pending }, outbox, words, rows, isLive, edit }) {
	const nodes = new Map();

	function make(row) {
		const said = row.entry.shouts ? cry() : rows.body(row.entry.text);
		const node = h('div', { class: 'row pending' }, h('span', { class: 'who' }), said, h('span', { class: 'fate' }));
		update(node, row);
		return node;
	}

	function update(node, { entry }) {
		const slot = node.querySelector('.fate');
		if (entry.shouts > 1) put(node.querySelector('.cry b'), `×${words.number(entry.shouts)}`);
		const failed = entry.state === 'failed';
		const fate = failed ? entry.code : isLive() ? 'sending' : 'queued';
		if (node.dataset.fate === fate) return;
		node.dataset.fate = fate;
		node.classList.toggle('failed', failed);
		if (!failed) return slot.replaceChildren(h('span', { class: fate, text: words.t(`log.${fate}`) }));
		const why = words.has(`error.${entry.code}`) ? entry.code : 'unknown';
		const button = (key, click) => h('button', { type: 'button', class: 'quiet', text: words.t(key), click });
		const drop = () => outbox.drop(entry.id);
		// If the server refuses a text for its content, sending the text again cannot help.
		const again = entry.code.includes('text')
			? button('log.edit', () => edit(entry.text) ?? drop())
			: button('log.retry', () => outbox.retry(entry.id));
		slot.replaceChildren(words.t(`error.${why}`), again, button('log.discard', drop));
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
