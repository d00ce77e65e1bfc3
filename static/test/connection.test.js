import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createConnection } from '../js/connection.js';
import { FakeClock, FakeSocket, HELLO } from './fake.js';

function setUp() {
	const clock = new FakeClock();
	const sockets = [];
	const states = [];
	const frames = [];
	const connection = createConnection({
		open: () => sockets[sockets.push(new FakeSocket()) - 1],
		onState: (state) => states.push(state),
		onFrame: (frame) => frames.push(frame),
		clock,
		random: () => 0.5,
	});
	const last = () => sockets.at(-1);
	const live = () => {
		last().accept();
		last().receive(HELLO);
		last().receive({ type: 'live', seq: 0 });
	};
	return { clock, sockets, states, frames, connection, last, live, phase: () => connection.state.phase };
}

test('connecting, catching, live; the frame comes before the state it changes', () => {
	const c = setUp();
	c.connection.tryNow();
	assert.equal(c.phase(), 'connecting');
	assert.equal(c.connection.send({ type: 'say' }), false, 'nothing is sent before hello');
	c.last().accept();
	c.last().receive(HELLO);
	assert.equal(c.phase(), 'catching');
	assert.equal(c.connection.send({ type: 'say', id: '1', text: 'x' }), true);
	c.last().receive({ type: 'live', seq: 0 });
	assert.equal(c.phase(), 'live');
	assert.deepEqual(c.frames.map((f) => f.type), ['hello', 'live']);
	assert.deepEqual(c.last().sent, [{ type: 'say', id: '1', text: 'x' }]);
});

test('garbage is dropped, and a server that does not greet is refused', () => {
	const c = setUp();
	c.connection.tryNow();
	c.last().accept();
	c.last().receive('{broken');
	assert.equal(c.phase(), 'connecting');
	c.last().receive({ type: 'message' });
	assert.deepEqual([c.phase(), c.connection.state.reason], ['refused', 'bad_version']);
});

test('a server without the subprotocol is refused, once', () => {
	const c = setUp();
	c.connection.tryNow();
	c.last().accept('');
	c.clock.advance(120_000);
	assert.deepEqual([c.phase(), c.connection.state.reason, c.sockets.length], ['refused', 'bad_version', 1]);
});

test('terminal codes are never retried, and say why', () => {
	for (const [code, reason, said] of [[1008, 'bad_room', 'bad_room'], [1002, '', '1002'], [1000, '', '1000'], [1009, '', '1009']]) {
		const c = setUp();
		c.connection.tryNow();
		c.last().accept();
		c.last().fail(code, reason);
		c.clock.advance(600_000);
		assert.deepEqual([c.phase(), c.connection.state.reason, c.sockets.length], ['refused', said, 1], String(code));
		c.connection.tryNow();
		assert.equal(c.sockets.length, 2, 'but a person may ask');
	}
});

test('a lost line is dialled again, ever later, and sooner after ten stable seconds', () => {
	const c = setUp();
	c.connection.tryNow();
	const waits = [];
	for (let i = 0; i < 9; i++) {
		c.last().fail();
		waits.push(c.connection.state.retryAt - c.clock.now());
		c.clock.advance(waits.at(-1));
		assert.equal(c.sockets.length, i + 2);
	}
	assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
	c.live();
	c.clock.advance(9_000);
	c.last().fail();
	assert.equal(c.connection.state.retryAt - c.clock.now(), 15000, 'nine seconds are not stable');
	c.clock.advance(15_000);
	c.live();
	c.clock.advance(10_000);
	c.last().fail();
	assert.equal(c.connection.state.retryAt - c.clock.now(), 250);
});

test('bye gives the moment of return', () => {
	const c = setUp();
	c.connection.tryNow();
	c.live();
	c.last().receive({ type: 'bye', reason: 'restart', return_in_ms: 1830 });
	c.last().fail(1012, '');
	assert.deepEqual([c.phase(), c.connection.state.reason], ['waiting', 'restart']);
	c.clock.advance(1829);
	assert.equal(c.sockets.length, 1);
	c.clock.advance(1);
	assert.equal(c.sockets.length, 2);
});

test('a server with no free room is asked later', () => {
	const c = setUp();
	c.connection.tryNow();
	c.last().accept();
	c.last().fail(1013, 'rooms_full');
	assert.equal(c.connection.state.retryAt - c.clock.now(), 5250);
	assert.equal(c.connection.state.reason, 'rooms_full');
});

test('no hello within ten seconds is a failure', () => {
	const c = setUp();
	c.connection.tryNow();
	c.last().accept();
	c.clock.advance(10_000);
	assert.equal(c.phase(), 'waiting');
	assert.equal(c.sockets[0].closedWith, 1000);
});

test('the watchdog: two missed beats end it, a beat in time does not', () => {
	const c = setUp();
	c.connection.tryNow();
	c.live();
	for (let i = 0; i < 10; i++) {
		c.clock.advance(50_000);
		c.last().receive({ type: 'beat', seq: 0, at: 0 });
	}
	assert.equal(c.phase(), 'live');
	c.clock.advance(54_999);
	assert.equal(c.phase(), 'live');
	c.clock.advance(1);
	assert.equal(c.phase(), 'waiting');
});

const BEAT = { type: 'beat' };

test('waking up: a silent line is asked, and replaced when it does not answer within two seconds', () => {
	const c = setUp();
	c.connection.tryNow();
	c.live();
	c.connection.wake();
	c.clock.advance(1_000);
	c.last().receive({ type: 'people', count: 1 });
	c.clock.advance(1_999);
	assert.equal(c.last().sent.length, 0, 'it was heard just now');
	c.clock.advance(1);
	assert.deepEqual(c.last().sent, [BEAT]);
	c.connection.wake();
	c.clock.advance(1_000);
	assert.equal(c.last().sent.length, 1, 'one question at a time');
	c.last().receive(BEAT);
	c.clock.advance(3_000);
	assert.deepEqual([c.sockets.length, c.last().sent.length], [1, 1], 'it answered');
	c.connection.wake();
	c.clock.advance(500);
	assert.equal(c.last().sent.length, 2);
	for (const frame of [{ type: 'people', count: 1 }, { type: 'error', code: 'rate_limited' }]) {
		c.clock.advance(1_000);
		c.last().receive(frame);
	}
	c.clock.advance(1_999);
	assert.equal(c.sockets.length, 1, 'what comes is a sign of life, but no answer');
	c.clock.advance(1);
	assert.equal(c.sockets.length, 2, 'it did not');
	assert.equal(c.sockets[0].closedWith, 1000);
	c.sockets[0].fail(1006);
	assert.equal(c.phase(), 'connecting', 'the old socket has nothing to say any more');
});

test('waking up just after it was heard: a line that then stays silent is asked all the same', () => {
	const c = setUp();
	c.connection.tryNow();
	c.live();
	c.connection.wake();
	c.clock.advance(2_000);
	assert.deepEqual(c.last().sent, [BEAT]);
	c.clock.advance(2_000);
	assert.equal(c.sockets.length, 2);
});

test('waking up after a sleep in which the clock stood still: the line is asked within two seconds', () => {
	const c = setUp();
	c.connection.tryNow();
	c.live();
	c.clock.advance(20_000);
	c.last().receive(BEAT);
	// An hour passes, of which the clock knows nothing, and the line is dead.
	c.connection.wake();
	c.clock.advance(2_000);
	assert.deepEqual(c.last().sent, [BEAT]);
	c.clock.advance(2_000);
	assert.equal(c.sockets.length, 2);
});

test('a beat that was received during sleep is not the answer', () => {
	const c = setUp();
	c.connection.tryNow();
	c.live();
	c.clock.advance(40_000);
	c.connection.wake();
	c.clock.advance(100);
	c.last().receive(BEAT); // the backlog, from before the line died
	c.clock.advance(2_000);
	assert.deepEqual(c.last().sent, [BEAT]);
	c.clock.advance(2_000);
	assert.equal(c.sockets.length, 2);
});

test('waking up while a call stays unanswered: it is made anew, once', () => {
	const c = setUp();
	c.connection.tryNow();
	c.clock.advance(5_000);
	c.connection.wake();
	c.clock.advance(500);
	assert.deepEqual([c.sockets.length, c.phase()], [2, 'connecting']);
	c.connection.wake();
	c.clock.advance(1_000);
	c.live();
	c.clock.advance(2_000);
	c.last().receive(BEAT);
	c.clock.advance(8_000);
	assert.deepEqual([c.sockets.length, c.phase()], [2, 'live'], 'this one was answered in time');
});

test('waking up while waiting dials at once', () => {
	const c = setUp();
	c.connection.tryNow();
	c.last().fail();
	c.connection.wake();
	assert.equal(c.sockets.length, 2);
	c.clock.advance(60_000);
	assert.equal(c.sockets.filter((s) => s.readyState === 0).length, 1, 'one socket at a time');
});

test('stop leaves no timer and no socket', () => {
	const c = setUp();
	c.connection.tryNow();
	c.live();
	c.connection.stop();
	assert.deepEqual([c.phase(), c.last().closedWith, c.clock.pending], ['idle', 1000, 0]);
});
