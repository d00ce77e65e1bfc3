import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countShouts } from '../js/text.js';
import { Timeline } from '../js/timeline.js';
import { message } from './fake.js';

const shout = (seq, n = 1, who = 'a', more = {}) => message(seq, 'どやさ'.repeat(n), { from: { id: who, name: who.toUpperCase() }, ...more });
const kinds = (t) => t.items.map((i) => (i.kind === 'shouts' ? `${i.total}×${i.tally.size}` : i.kind === 'gap' ? `${i.state} ${i.first}-${i.last}` : i.kind === 'era' ? 'era' : i.first));
const totals = (t) => t.items.reduce((n, i) => n + (i.kind === 'shouts' ? i.total : i.kind === 'text' ? countShouts(i.text) : 0), 0);

test('consecutive shouts fold, texts part them, and the tally adds up', () => {
	const t = new Timeline();
	for (const m of [shout(1), shout(2, 3, 'b'), shout(3, 2, 'a'), message(4), shout(5), message(6, 'そりゃどやさ')]) t.append(m);
	assert.deepEqual(kinds(t), ['6×2', 4, '1×1', 6]);
	assert.deepEqual([...t.items[0].tally], [['a', { name: 'A', count: 3 }], ['b', { name: 'B', count: 3 }]]);
	assert.deepEqual([t.items[0].first, t.items[0].last], [1, 3]);
});

test('shouts far apart, or of different days, are different runs', () => {
	const t = new Timeline();
	const at = new Date(2026, 0, 5, 23, 58).getTime();
	t.append(shout(1, 1, 'a', { at }));
	t.append(shout(2, 1, 'a', { at: at + 60_000 }));
	t.append(shout(3, 1, 'a', { at: at + 180_000 }));
	t.append(shout(4, 1, 'a', { at: at + 800_000 }));
	assert.deepEqual(kinds(t), ['2×1', '1×1', '1×1']);
});

test('a sender goes by the latest name, whichever way messages come', () => {
	const t = new Timeline();
	t.append(shout(5, 1, 'a', { from: { id: 'a', name: 'new' } }));
	t.prepend([shout(4, 1, 'a', { from: { id: 'a', name: 'old' } })]);
	assert.deepEqual([...t.items[0].tally], [['a', { name: 'new', count: 2 }]]);
});

test('older pages come before, in order, and runs grow across the seam under the same key', () => {
	const t = new Timeline();
	t.append(shout(4));
	t.append(message(5));
	const { key } = t.items[0];
	t.prepend([message(1), message(2), shout(3, 2)]);
	assert.deepEqual(kinds(t), [1, 2, '3×1', 5]);
	assert.equal(t.items[2].key, key);
});

test('a gap is filled from its front; what is left stays announced', () => {
	const t = new Timeline();
	t.append(message(1));
	const gap = t.gap(2, 9);
	t.append(message(10));
	t.fill(gap, [message(2), message(3)], false);
	assert.deepEqual(kinds(t), [1, 2, 3, 'idle 4-9', 10]);
	t.fill(gap, [message(6, 'm6', { prev: 5 })], false);
	assert.deepEqual(kinds(t), [1, 2, 3, 'lost 4-5', 6, 'idle 7-9', 10]);
	t.fill(gap, [message(7), message(8), message(9), message(10)], true);
	assert.deepEqual(kinds(t), [1, 2, 3, 'lost 4-5', 6, 7, 8, 9, 10]);
});

test('a new era: numbers start over, and old gaps are lost', () => {
	const t = new Timeline();
	t.append(message(7));
	t.gap(8, 9);
	t.begin();
	t.append(message(1));
	assert.deepEqual(kinds(t), [7, 'lost 8-9', 'era', 1]);
	assert.deepEqual(t.items.map((i) => i.era), [0, 0, 1, 1]);
});

test('a run does not fold across the unread mark', () => {
	const t = new Timeline();
	t.append(shout(1));
	t.mark = { era: 0, seq: 1 };
	t.append(shout(2));
	t.append(shout(3));
	assert.deepEqual(kinds(t), ['1×1', '2×1']);
	assert.deepEqual(t.items.map((i) => t.isUnread(i)), [false, true]);
});

test('counts are conserved however messages come', () => {
	let seed = 42;
	const random = (n) => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) >>> 8) % n;
	for (let round = 0; round < 200; round++) {
		const all = Array.from({ length: 60 }, (_, i) => (random(4) ? shout(i + 1, 1 + random(3), 'abcd'[random(4)]) : message(i + 1)));
		const t = new Timeline();
		const from = 10 + random(20);
		const to = from + 1 + random(20);
		let older = from;
		for (const m of all.slice(from, to)) t.append(m);
		const gap = to < 58 ? t.gap(to + 1, 58) : null;
		for (const m of all.slice(gap ? 58 : to)) t.append(m);
		for (let at = to; gap && at < 58; ) {
			const page = all.slice(at, Math.min(58, at + 1 + random(9)));
			at += page.length;
			t.fill(gap, page, at >= 58);
		}
		while (older > 0) {
			const n = Math.min(older, 1 + random(9));
			t.prepend(all.slice(older - n, older));
			older -= n;
		}
		assert.equal(totals(t), all.reduce((n, m) => n + countShouts(m.text), 0));
		for (const i of t.items) if (i.kind === 'shouts') assert.equal([...i.tally.values()].reduce((n, s) => n + s.count, 0), i.total);
		assert.deepEqual(t.items.map((i) => i.first), t.items.map((i) => i.first).sort((a, b) => a - b));
	}
});
