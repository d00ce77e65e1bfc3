import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStore } from '../js/store.js';
import { HELLO, message } from './fake.js';

const PAGE = 200;

/** A server's history as the HTTP API shows it. */
function historyOf(messages, epoch = 'e1') {
	const asked = [];
	const fetchPage = async ({ after, before, limit }) => {
		asked.push({ after, before, limit });
		const all = messages();
		const found = before === undefined ? all.filter((m) => m.seq > after).slice(0, PAGE) : all.filter((m) => m.seq < before).slice(-PAGE);
		return { epoch, first: all[0]?.seq ?? 0, last: all.at(-1)?.seq ?? 0, messages: found };
	};
	return { asked, fetchPage };
}

function setUp(all = []) {
	const history = historyOf(() => all);
	const seen = [];
	const store = createStore({ fetchPage: history.fetchPage, onMessage: (m, isNews) => seen.push([m.seq, isNews]) });
	const take = (...frames) => frames.forEach((f) => store.frame(f));
	return { store, seen, take, asked: history.asked, all };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const shown = (store) => store.timeline.items.map((i) => (i.kind === 'gap' ? `${i.state} ${i.first}-${i.last}` : i.kind === 'era' ? 'era' : i.kind === 'shouts' ? `×${i.total}` : i.first));
const live = (seq) => ({ type: 'live', seq });
const hello = (more) => ({ ...HELLO, ...more });

test('an empty room has a position from the start', () => {
	const { store, take } = setUp();
	take(hello(), live(0));
	assert.deepEqual([store.last, store.epoch, store.session, store.you.id, store.more], [0, 'e1', 's1', 'me', false]);
	take(message(1));
	assert.deepEqual(shown(store), [1]);
});

test('a newcomer: history is not news, what follows is', () => {
	const { store, seen, take, asked } = setUp();
	take(hello({ seq: 12 }), message(11, 'どやさ'), message(12), live(12), message(13, 'どやさどやさ'), message(14, 'どやさ', { from: { id: 'me', name: 'me' } }));
	assert.deepEqual(seen, [[11, false], [12, false], [13, true], [14, true]]);
	assert.deepEqual([store.shouts, store.arrived, store.more], [3, 1, true]);
	assert.equal(asked.length, 0, 'what is before the first is not a hole');
});

test('an exact resume continues; an answer to a retry is not shown twice', () => {
	const { store, seen, take } = setUp();
	take(hello({ seq: 2 }), message(1), message(2), live(2));
	take(hello({ seq: 4, resumed: true, session: 's2' }), message(3), message(4), live(4), message(2));
	assert.deepEqual(shown(store), [1, 2, 3, 4]);
	assert.deepEqual(seen.at(-1), [2, false]);
	assert.equal(store.arrived, 2);
});

test('numbers need not be consecutive: prev proves that nothing is missing', () => {
	const { store, take, asked } = setUp();
	take(hello({ seq: 10 }), message(10, 'x', { prev: 4 }), live(10), message(25, 'y', { prev: 10 }), message(31, 'z', { prev: 25 }));
	assert.deepEqual(shown(store), [10, 25, 31]);
	assert.equal(asked.length, 0);
});

test('a hole in the stream is found by prev, fetched, and put in place', async () => {
	const { store, seen, take, asked } = setUp([1, 2, 3, 4, 5, 6].map((n) => message(n)));
	take(hello({ seq: 2 }), message(1), message(2), live(2), message(6));
	assert.deepEqual(shown(store), [1, 2, 'loading 3-5', 6]);
	await settle();
	assert.deepEqual(shown(store), [1, 2, 3, 4, 5, 6]);
	assert.deepEqual(asked, [{ after: 2, before: undefined, limit: PAGE }]);
	assert.deepEqual(seen.slice(-3), [[3, true], [4, true], [5, true]]);
});

test('an announced gap is fetched; what is gone is said to be gone', async () => {
	const { store, take } = setUp([4, 5, 6].map((n) => message(n)));
	take(hello({ seq: 1 }), message(1), live(1), { type: 'gap', from: 2, to: 5 }, message(6));
	await settle();
	assert.deepEqual(shown(store), [1, 'lost 2-3', 4, 5, 6]);
	const restarted = setUp([message(4, 'x', { prev: 0 }), message(5), message(6)]); // the oldest kept one's prev is not known
	restarted.take(hello({ seq: 1 }), message(1), live(1), { type: 'gap', from: 2, to: 5 }, message(6));
	await settle();
	assert.deepEqual(shown(restarted.store), [1, 'lost 2-3', 4, 5, 6]);
	const bare = setUp([]);
	bare.take(hello({ seq: 1 }), message(1), live(1), { type: 'gap', from: 2, to: 5 }, message(6));
	await settle();
	assert.deepEqual(shown(bare.store), [1, 'lost 2-5', 6]);
});

test('a gap larger than a page is fetched page by page, on request', async () => {
	const { store, take } = setUp(Array.from({ length: 500 }, (_, i) => message(i + 1)));
	take(hello({ seq: 1 }), message(1), live(1), { type: 'gap', from: 2, to: 450 }, message(451));
	await settle();
	assert.deepEqual(shown(store).slice(-2), ['idle 202-450', 451]);
	for (let i = 0; i < 2; i++) {
		await store.fill(store.timeline.items.find((item) => item.kind === 'gap'));
	}
	assert.deepEqual(shown(store), Array.from({ length: 451 }, (_, i) => i + 1));
});

test('a gap whose page cannot be had stays, to be asked for again', async () => {
	const store = createStore({ fetchPage: async () => Promise.reject(new Error('offline')) });
	for (const f of [hello({ seq: 1 }), message(1), live(1), message(9)]) store.frame(f);
	await settle();
	assert.deepEqual(shown(store), [1, 'idle 2-8', 9]);
});

test('a page that fails once is asked for again: what the network lost need not be asked for by hand', async () => {
	let asked = 0;
	const page = { epoch: 'e1', first: 1, last: 3, messages: [message(2), message(3)] };
	const store = createStore({ fetchPage: async () => (asked++ ? page : Promise.reject(new Error('cut'))) });
	for (const f of [hello({ seq: 1 }), message(1), live(1), message(4)]) store.frame(f);
	await settle();
	await settle();
	assert.deepEqual([shown(store), asked], [[1, 2, 3, 4], 2]);
});

test('history trimmed beneath a sleeping tab is announced', async () => {
	const { store, take } = setUp([90, 91, 92].map((n) => message(n)));
	take(hello({ seq: 3 }), message(3), live(3));
	take(hello({ seq: 92, resumed: false, reason: 'trimmed' }), message(91), message(92), live(92));
	await settle();
	assert.deepEqual(shown(store), [3, 'lost 4-89', 90, 91, 92]);
});

test('live tells of a hole at the end too', async () => {
	const { store, take } = setUp();
	take(hello({ seq: 3 }), message(3), live(3), hello({ seq: 9, reason: 'trimmed' }), live(9));
	await settle();
	assert.deepEqual([shown(store), store.last], [[3, 'lost 4-9'], 9]);
});

test('a new epoch: said, counted from the start, and its beginning fetched', async () => {
	for (const reason of ['epoch', 'future']) {
		const epoch = reason === 'epoch' ? 'e2' : 'e1';
		const history = historyOf(() => [1, 2, 3].map((n) => message(n)), epoch);
		const store = createStore({ fetchPage: history.fetchPage });
		for (const f of [hello({ seq: 70 }), message(70), live(70), hello({ epoch, seq: 3, reason }), message(3), live(3), message(4)]) store.frame(f);
		await settle();
		assert.deepEqual(shown(store), [70, 'era', 1, 2, 3, 4], reason);
		assert.deepEqual([store.last, store.arrived], [4, 4]);
	}
});

test('what a killed server told and did not answer is said again to the next one, and shown once', async () => {
	const { store, seen, take } = setUp([message(1)]);
	take(hello({ seq: 0 }), live(0), message(1, 'どやさ', { id: 'x' }));
	take(hello({ epoch: 'e2', seq: 2, reason: 'epoch' }), message(1, 'どやさ', { id: 'x' }), message(2, 'どやさ', { id: 'y' }), live(2));
	assert.deepEqual([shown(store), store.shouts, store.last], [['×1', 'era', '×1'], 2, 2]);
	assert.deepEqual(seen, [[1, true], [1, false], [2, true]]);
});

test('a page from another epoch fills nothing', async () => {
	const history = historyOf(() => [2].map((n) => message(n)), 'other');
	const store = createStore({ fetchPage: history.fetchPage });
	for (const f of [hello({ seq: 1 }), message(1), live(1), message(3)]) store.frame(f);
	await settle();
	assert.deepEqual(shown(store), [1, 'lost 2-2', 3]);
});

test('reading back through all that is kept', async () => {
	const { store, take } = setUp(Array.from({ length: 450 }, (_, i) => message(i + 11)));
	take(hello({ seq: 460 }), message(459), message(460), live(460));
	for (let i = 0; i < 3; i++) {
		assert.equal(store.more, true);
		await store.older();
	}
	assert.deepEqual(shown(store), Array.from({ length: 450 }, (_, i) => i + 11));
	assert.equal(store.more, false);
	assert.equal(store.arrived, 0);
});

test('two requests for older messages at once are one', async () => {
	const { store, take, asked } = setUp([1, 2, 3].map((n) => message(n)));
	take(hello({ seq: 3 }), message(3), live(3));
	await Promise.all([store.older(), store.older()]);
	assert.deepEqual([asked.length, shown(store)], [1, [1, 2, 3]]);
});

test('memory is bounded while the newest are shown, and not while somebody reads further up', () => {
	const { store, take } = setUp();
	take(hello(), live(0));
	for (let i = 1; i <= 6000; i++) take(message(i));
	assert.ok(store.timeline.items.length <= 5000);
	assert.equal(store.more, true);
	assert.equal(store.timeline.items.at(-1).last, 6000);
	store.pinned = true;
	for (let i = 6001; i <= 12_000; i++) take(message(i));
	assert.ok(store.timeline.items.length >= 10_000);
});

test('people come, go and are renamed; names need not be unique', () => {
	const { store, take } = setUp();
	take(hello({ people: { count: 3, names: ['A', 'A', 'B'] } }), { type: 'people', count: 3, joined: ['C'], left: ['A'] });
	assert.deepEqual(store.people, { count: 3, names: ['A', 'B', 'C'] });
	take({ type: 'people', count: 1, joined: [], left: ['B', 'C', 'nobody'] });
	assert.deepEqual(store.people, { count: 1, names: ['A'] });
});

test('who joined with oneself is not counted twice, nor dropped for it', () => {
	const { store, take } = setUp();
	take(hello({ people: { count: 3, names: ['A', 'B', 'me'] } }), { type: 'people', count: 3, joined: ['B', 'me'], left: [] });
	assert.deepEqual(store.people.names, ['A', 'B', 'me']);
	take({ type: 'people', count: 4, joined: ['A'], left: [] });
	assert.deepEqual(store.people.names, ['A', 'B', 'me', 'A'], 'names need not be unique');
});

test('malformed frames change nothing', () => {
	const { store, take } = setUp();
	take(hello(), live(0), { type: 'message' }, { ...message(1), seq: -1 }, { ...message(1), from: null }, { type: 'gap' }, { type: 'constructor' }, { type: 'live' });
	assert.deepEqual([store.timeline.items.length, store.last], [0, 0]);
});

test('any schedule of cuts, gaps and trims: shown is a gapless run, or the hole is announced', async () => {
	let seed = 7;
	const random = (n) => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) >>> 8) % n;
	for (let round = 0; round < 120; round++) {
		const all = [];
		let head = 0;
		let kept = 0; // messages up to here are trimmed away
		const grow = () => {
			const seq = head + 1 + random(3);
			all.push(message(seq, `m${seq}`, { prev: head }));
			head = seq;
		};
		const retained = () => all.filter((m) => m.seq > kept);
		const { fetchPage } = historyOf(retained);
		const store = createStore({ fetchPage });
		let joined = false;
		for (let step = 0; step < 30; step++) {
			for (let i = random(6); i > 0; i--) grow();
			if (random(5) === 0) kept = Math.max(kept, all[random(all.length)]?.seq ?? 0);
			const at = store.last;
			const owed = retained().filter((m) => m.seq > (at ?? 0));
			const exact = joined && (at >= kept || at === head);
			const sent = !joined || !exact ? retained().slice(-3).filter((m) => m.seq > (at ?? 0)) : owed;
			if (!joined || random(3) === 0) {
				store.frame(hello({ seq: head, resumed: exact, reason: joined ? 'trimmed' : 'fresh' }));
				for (const m of sent) store.frame(m);
				store.frame(live(head));
				joined = true;
			} else if (random(3) === 0 && owed.length > 1) {
				store.frame({ type: 'gap', from: owed[0].seq, to: owed.at(-2).seq });
				store.frame(owed.at(-1));
			} else for (const m of all.filter((n) => n.seq > at)) store.frame(m);
			if (random(2)) await settle();
		}
		await settle();
		// Walk what is shown: each message follows its prev, or a hole that covers everything between was announced.
		const items = store.timeline.items;
		const prevOf = new Map(all.map((m) => [m.seq, m.prev]));
		for (let i = 1; i < items.length; i++) {
			const [before, item] = [items[i - 1], items[i]];
			assert.ok(item.first > before.last, 'in order, none twice');
			if (item.kind !== 'gap') assert.ok(prevOf.get(item.first) <= before.last, `nothing missing before ${item.first}`);
			else assert.ok(!retained().some((m) => m.seq >= item.first && m.seq <= item.last), `${item.state}, though it could be had`);
		}
		if (items.length) assert.equal(items.at(-1).last >= all.at(-1).seq, true, 'up to the head');
	}
});

test('the answer to a retry, however old, is shown once and moves nobody back', async () => {
	const { store, seen, take } = setUp();
	take(hello(), live(0), ...Array.from({ length: 300 }, (_, i) => message(i + 1)));
	const before = shown(store);
	take(message(3));
	assert.deepEqual([store.last, seen.at(-1)], [300, [3, false]]);
	take(message(301));
	await settle();
	assert.deepEqual(shown(store), [...before, 301]);
});
