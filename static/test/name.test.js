import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createName } from '../js/name.js';
import { FakeClock } from './fake.js';

function setUp(stored = null) {
	const kept = new Map([['name', stored]]);
	const memory = { get: (key) => kept.get(key), set: (key, value) => kept.set(key, value) };
	const store = { you: { id: 'me', name: '' } };
	const line = { takes: true, sent: [] };
	const clock = new FakeClock();
	const send = ({ name }) => line.takes && line.sent.push(name) > 0;
	const name = createName({ memory, store, send, changed() {}, clock });
	const hello = (given) => {
		store.you.name = given;
		name.hello();
		name.use(); // the line is live
	};
	return { name, store, line, clock, hello, stored: () => kept.get('name') };
}

test('a chosen name is sent once, and shown at once', () => {
	const n = setUp();
	n.hello('ゲスト1');
	n.name.choose('さくら');
	assert.deepEqual([n.store.you.name, n.line.sent, n.stored()], ['さくら', ['さくら'], 'さくら']);
	n.name.use();
	n.hello('さくら');
	assert.deepEqual(n.line.sent, ['さくら']);
});

test('a name that the server refuses is taken back, and the room is told which one stays', () => {
	const n = setUp('さくら');
	n.hello('さくら');
	n.name.choose('\u{1fae9}');
	assert.equal(n.name.refused('bad_name'), true);
	assert.deepEqual([n.store.you.name, n.line.sent, n.stored()], ['さくら', ['\u{1fae9}', 'さくら'], null]);
});

test('two names in flight: page and room agree on the name that the server gave, whichever was refused', () => {
	const n = setUp();
	n.hello('ゲスト1');
	n.name.choose('bad');
	n.name.choose('good');
	n.name.refused('bad_name');
	assert.deepEqual([n.store.you.name, n.line.sent.pop()], ['ゲスト1', 'ゲスト1']);
});

test('a name over the rate is sent again when the server has time', () => {
	const n = setUp();
	n.hello('ゲスト1');
	n.name.choose('さくら');
	assert.equal(n.name.refused('rate_limited', 900), false);
	n.clock.advance(899);
	assert.equal(n.line.sent.length, 1);
	n.clock.advance(1);
	assert.deepEqual([n.store.you.name, n.line.sent], ['さくら', ['さくら', 'さくら']]);
});

test('a name chosen while the line is down, or while it is dialled, goes out once it is live', () => {
	const n = setUp();
	n.line.takes = false;
	n.name.choose('さくら');
	assert.equal(n.store.you.name, 'さくら');
	n.line.takes = true;
	n.hello('ゲスト1');
	assert.deepEqual([n.store.you.name, n.line.sent], ['さくら', ['さくら']]);
});

test('a stored name that no rule allows any more is not used', () => {
	for (const stored of ['a\u200b', 'x'.repeat(33), '', null]) {
		const n = setUp(stored);
		n.hello('ゲスト1');
		assert.deepEqual([n.name.chosen(), n.store.you.name, n.line.sent], ['', 'ゲスト1', []]);
	}
});
