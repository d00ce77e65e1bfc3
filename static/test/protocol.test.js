import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as p from '../js/protocol.js';

test('the room is in the path', () => {
	for (const [path, room] of [['/', ''], ['/r/abc', 'abc'], ['/r/%E9%83%A8%E5%B1%8B/', '部屋'], ['/r/%E9%83', '%E9%83'], ['/r/a/b', ''], ['/r/', '']]) {
		assert.equal(p.roomFromPath(path), room, path);
	}
});

test('the address of the socket', () => {
	const at = (location, query) => p.socketURL(location, query);
	assert.equal(at({ protocol: 'http:', host: 'h:3000' }, { history: 50 }), 'ws://h:3000/websocket?history=50');
	const url = new URL(at({ protocol: 'https:', host: 'h' }, { room: '部屋', name: 'A&B=\ud800', session: 's', epoch: 'e', after: 0, history: 50 }));
	assert.equal(url.protocol, 'wss:');
	assert.deepEqual(Object.fromEntries(url.searchParams), { room: '部屋', name: 'A&B=\ufffd', session: 's', epoch: 'e', after: '0', history: '50' });
	assert.equal(at({ protocol: 'http:', host: 'h' }, { epoch: '', after: 7 }), 'ws://h/websocket?', 'no position without its epoch');
	assert.equal(at({ protocol: 'http:', host: 'h' }, { epoch: 'e', after: null }), 'ws://h/websocket?epoch=e');
});

test('frames: anything but an object with a type is dropped', () => {
	assert.deepEqual(p.parseFrame('{"type":"live","seq":0}'), { type: 'live', seq: 0 });
	for (const bad of ['', '{', 'null', '[]', '"x"', '42', '{}', '{"type":1}']) assert.equal(p.parseFrame(bad), null, bad);
});

test('messages that cannot be shown are told apart', () => {
	const good = { seq: 1, prev: 0, text: '', at: 1, from: { name: '' } };
	assert.ok(p.isMessage(good));
	for (const bad of [{ seq: 0 }, { seq: 1.5 }, { seq: 2 ** 53 }, { seq: '1' }, { text: 1 }, { from: null }, { from: {} }, { at: 'x' }]) {
		assert.ok(!p.isMessage({ ...good, ...bad }), JSON.stringify(bad));
	}
});

test('close codes: what is never tried again, what later, what soon', () => {
	for (const code of [1000, 1002, 1003, 1007, 1008, 1009]) assert.equal(p.verdict(code, ''), 'refused', String(code));
	for (const code of [1001, 1005, 1006, 1011, 1012, 1014, 4000]) assert.equal(p.verdict(code, ''), 'soon', String(code));
	for (const reason of ['rooms_full', '']) assert.equal(p.verdict(1013, reason), 'later', reason);
	assert.equal(p.verdict(1013, 'overtaken'), 'soon');
});

test('back-off: full jitter from 0.5 s to 30 s, and 5 s more when full', () => {
	assert.deepEqual([0, 1, 2, 6, 7, 100].map((n) => p.backoff(n, false, () => 1)), [500, 1000, 2000, 30000, 30000, 30000]);
	assert.equal(p.backoff(5, false, () => 0), 0);
	assert.equal(p.backoff(0, true, () => 0.5), 5250);
});
