import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOutbox } from '../js/outbox.js';
import { createPresses } from '../js/presses.js';
import { countShouts, utf8Length } from '../js/text.js';
import { FakeClock } from './fake.js';

function setUp({ saved, limits } = {}) {
	const clock = new FakeClock();
	const sent = [];
	const line = { takes: true, kept: [], doubts: 0 };
	const outbox = createOutbox({
		send: (frame) => line.takes && sent.push(frame) > 0,
		keep: (entries) => (line.kept = JSON.parse(JSON.stringify(entries))),
		doubt: () => line.doubts++,
		saved,
		clock,
	});
	return { clock, sent, line, outbox, open: () => outbox.opened(limits), states: () => outbox.entries.map((e) => e.state) };
}

const shoutsIn = (sent) => sent.reduce((n, f) => n + countShouts(f.text), 0);

test('a text goes out, is acknowledged by its id, and is forgotten', () => {
	const o = setUp();
	o.open();
	assert.equal(o.outbox.say('hi'), '');
	assert.equal(o.sent[0].text, 'hi');
	assert.deepEqual(o.states(), ['sent']);
	assert.equal(o.outbox.answered('somebody else'), undefined);
	assert.equal(o.outbox.answered(undefined), undefined);
	assert.equal(o.outbox.answered(o.sent[0].id).text, 'hi');
	assert.deepEqual([o.states(), o.line.kept], [[], []]);
});

test('offline it queues; on return everything unanswered goes out again, in order, with the same ids', () => {
	const o = setUp();
	o.open();
	o.outbox.say('one');
	o.outbox.closed();
	o.outbox.say('two');
	assert.equal(o.sent.length, 1);
	assert.equal(o.outbox.waiting, 2);
	o.open();
	assert.deepEqual(o.sent.map((f) => f.text), ['one', 'one', 'two']);
	assert.equal(o.sent[0].id, o.sent[1].id);
});

test('it survives a reload with the same ids, and nonsense in storage', () => {
	const before = setUp();
	before.open();
	before.outbox.say('sent, unanswered');
	assert.equal(before.line.kept[0].state, 'sent');
	const midway = setUp({ saved: before.line.kept });
	midway.open();
	assert.equal(midway.sent[0].id, before.sent[0].id);
	before.outbox.closed();
	before.outbox.press(3);
	const after = setUp({ saved: [...before.line.kept, null, 7, {}, { id: 'x' }] });
	after.open();
	assert.deepEqual(after.sent.map((f) => [f.id, f.text]), before.line.kept.map((e) => [e.id, e.text ?? 'どやさ'.repeat(e.shouts)]));
	assert.equal(setUp({ saved: 'nonsense' }).outbox.entries.length, 0);
});

test('presses join while they wait, within text_bytes, and none is lost', () => {
	const o = setUp({ limits: { text_bytes: 30, messages_per_second: 0 } });
	o.open();
	o.outbox.closed();
	for (let i = 0; i < 100; i++) o.outbox.press(1);
	o.outbox.press(7);
	assert.equal(o.outbox.waiting, 107);
	assert.equal(o.outbox.entries.length, Math.ceil(107 / 3));
	o.open();
	assert.equal(shoutsIn(o.sent), 107);
	assert.ok(o.sent.every((f) => utf8Length(f.text) <= 30));
});

test('presses never join what went out already: its id stands for its text', () => {
	const o = setUp();
	o.open();
	o.outbox.press(2);
	o.outbox.closed();
	o.outbox.press(1);
	o.open();
	assert.deepEqual(o.sent.map((f) => countShouts(f.text)), [2, 2, 1]);
	assert.equal(new Set(o.sent.map((f) => f.id)).size, 2);
});

test('texts are refused when too many wait; presses never', () => {
	const o = setUp();
	for (let i = 0; i < 200; i++) assert.equal(o.outbox.say(`t${i}`), '');
	assert.equal(o.outbox.say('one more'), 'queue_full');
	o.outbox.press(1);
	assert.equal(o.outbox.waiting, 201);
});

test('it keeps to the rate: never more than the burst and the refill', () => {
	const o = setUp({ limits: { messages_per_second: 10, burst: 20 } });
	o.open();
	for (let i = 0; i < 60; i++) o.outbox.say(`t${i}`);
	assert.equal(o.sent.length, 20);
	o.clock.advance(1000);
	assert.equal(o.sent.length, 30);
	o.clock.advance(3000);
	assert.equal(o.sent.length, 60);
	assert.deepEqual(o.sent.map((f) => f.text), Array.from({ length: 60 }, (_, i) => `t${i}`));
});

test('rate_limited pauses as long as the server says, then the same id goes out', () => {
	const o = setUp();
	o.open();
	o.outbox.say('x');
	assert.equal(o.outbox.refused(o.sent[0].id, 'rate_limited', 900), true);
	assert.equal(o.outbox.isPaused, true);
	o.clock.advance(899);
	assert.equal(o.sent.length, 1);
	o.clock.advance(200);
	assert.deepEqual([o.sent.length, o.sent[1]?.id, o.outbox.isPaused], [2, o.sent[0].id, false]);
});

test('busy is tried again even without a rate, but not at once', () => {
	const o = setUp({ limits: { messages_per_second: 0 } });
	o.open();
	o.outbox.say('x');
	o.outbox.refused(o.sent[0].id, 'busy');
	assert.equal(o.sent.length, 1);
	o.clock.advance(500);
	assert.equal(o.sent.length, 2);
});

test('other refusals fail the entry until it is retried with the same id, or dropped', () => {
	const o = setUp();
	o.open();
	o.outbox.say('bad');
	const { id } = o.sent[0];
	assert.equal(o.outbox.refused('unknown', 'bad_text'), false);
	assert.equal(o.outbox.refused(undefined, 'bad_json'), false);
	o.outbox.refused(id, 'bad_text');
	assert.deepEqual([o.states(), o.outbox.entries[0].code], [['failed'], 'bad_text']);
	o.outbox.closed();
	o.open();
	assert.equal(o.sent.length, 1, 'failed is not retried by itself');
	o.outbox.retry(id);
	assert.deepEqual([o.sent.length, o.sent[1].id], [2, id]);
	o.outbox.refused(id, 'bad_text');
	o.outbox.drop(id);
	assert.deepEqual(o.states(), []);
});

test('an entry unanswered for long casts doubt on the line', () => {
	const o = setUp();
	o.open();
	o.outbox.say('x');
	o.clock.advance(7_999);
	assert.equal(o.line.doubts, 0);
	o.clock.advance(1);
	assert.equal(o.line.doubts, 1);
	o.outbox.answered(o.sent[0].id);
	o.clock.advance(60_000);
	assert.equal(o.line.doubts, 1);
});

test('a line that takes nothing loses nothing', () => {
	const o = setUp();
	o.line.takes = false;
	o.open();
	o.outbox.say('x');
	assert.deepEqual(o.states(), ['waiting']);
	o.line.takes = true;
	o.open();
	assert.deepEqual(o.states(), ['sent']);
});

test('pressing: the first at once, the next 200 ms as one, none lost', () => {
	const clock = new FakeClock();
	const out = [];
	const presses = createPresses((n) => out.push(n), clock);
	presses.press();
	assert.deepEqual(out, [1]);
	for (let i = 0; i < 4; i++) presses.press();
	clock.advance(199);
	assert.deepEqual(out, [1]);
	clock.advance(1);
	assert.deepEqual(out, [1, 4]);
	presses.press();
	clock.advance(200);
	assert.deepEqual(out, [1, 4, 1]);
	clock.advance(200);
	presses.press();
	assert.deepEqual(out, [1, 4, 1, 1], 'after a quiet window the first goes out at once again');
	presses.press();
	presses.flush();
	clock.advance(1000);
	assert.deepEqual(out, [1, 4, 1, 1, 1]);
});
