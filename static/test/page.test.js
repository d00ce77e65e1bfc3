import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sends } from '../js/composer.js';
import { arrive, leave, Memory } from '../js/memory.js';
import { spotOf } from '../js/stage.js';

const css = readFileSync(new URL('../css/page.css', import.meta.url), 'utf8');

/** Relative luminance, WCAG 2.2. */
function luminance(hex) {
	const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const contrast = (a, b) => {
	const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
	return (high + 0.05) / (low + 0.05);
};

/** A token's two colours: light, dark. */
function token(name) {
	const found = new RegExp(`${name}: light-dark\\((#\\w{6}), (#\\w{6})\\)`).exec(css);
	assert.ok(found, name);
	return found.slice(1);
}

test('every pair of text and ground is at least AA, in light and dark', () => {
	const hues = Array.from({ length: 12 }, (_, i) => `\\.h${i} \\{ --hue`);
	const pairs = [...['--ink', '--muted', '--seal', ...hues].map((name) => [name, '--paper']), ['--on-seal', '--seal'], ['--paper', '--ink']];
	for (const [text, ground] of pairs) {
		for (const scheme of [0, 1]) {
			const ratio = contrast(token(text)[scheme], token(ground)[scheme]);
			assert.ok(ratio >= 4.5, `${text} on ${ground}, ${scheme ? 'dark' : 'light'}: ${ratio.toFixed(2)}`);
		}
	}
});

test('the twelve hues differ', () => {
	const all = Array.from({ length: 12 }, (_, i) => token(`\\.h${i} \\{ --hue`));
	for (const scheme of [0, 1]) assert.equal(new Set(all.map((h) => h[scheme])).size, 12);
});

test('Enter sends, but never the Enter of a composition, in any browser’s order of events', () => {
	const enter = { key: 'Enter', keyCode: 13 };
	const plain = { composing: false, withCtrl: false, touch: false };
	const rows = [
		['Enter', enter, plain, true],
		['another key', { key: 'a', keyCode: 65 }, plain, false],
		['Chromium, composing', { ...enter, isComposing: true }, plain, false],
		['old input methods and Safari: 229', { ...enter, keyCode: 229 }, plain, false],
		['compositionend came just before', enter, { ...plain, composing: true }, false],
		['Ctrl+Enter while composing', { ...enter, ctrlKey: true, isComposing: true }, { ...plain, withCtrl: true }, false],
		['Shift+Enter is a new line', { ...enter, shiftKey: true }, plain, false],
		['Enter when Ctrl+Enter is wished', enter, { ...plain, withCtrl: true }, false],
		['Ctrl+Enter', { ...enter, ctrlKey: true }, { ...plain, withCtrl: true }, true],
		['Command+Enter', { ...enter, metaKey: true }, { ...plain, withCtrl: true }, true],
		['Enter on a touch keyboard is a new line', enter, { ...plain, touch: true }, false],
	];
	for (const [name, event, state, want] of rows) assert.equal(sends(event, state), want, name);
});

function storage() {
	const map = new Map();
	return { getItem: (k) => map.get(k) ?? null, setItem: (k, v) => void map.set(k, v), removeItem: (k) => void map.delete(k), map };
}

test('memory: kept, forgotten, and harmless when storage is blocked, full or corrupt', () => {
	const area = storage();
	const memory = new Memory(() => area);
	memory.set('a', { x: 1 });
	assert.deepEqual(new Memory(() => area).get('a'), { x: 1 });
	memory.set('a', null);
	assert.deepEqual([memory.get('a'), area.map.size], [null, 0]);
	area.map.set('doyasa.bad', '{');
	assert.equal(memory.get('bad'), null);
	const blocked = new Memory(() => {
		throw new Error('SecurityError');
	});
	blocked.set('a', 1);
	assert.equal(blocked.get('a'), 1);
	blocked.set('a', null);
	assert.equal(blocked.get('a'), null);
	const full = new Memory(() => ({ ...storage(), setItem: () => { throw new Error('QuotaExceededError'); } }));
	full.set('a', 2);
	assert.equal(full.get('a'), 2);
});

test('a reloaded tab is who it was; a duplicated one is not', () => {
	const area = storage();
	const original = new Memory(() => area);
	assert.equal(arrive(original), false, 'a new tab');
	const duplicate = { ...storage() };
	area.map.forEach((v, k) => duplicate.setItem(k, v));
	assert.equal(arrive(new Memory(() => duplicate)), false);
	leave(original);
	assert.equal(arrive(new Memory(() => area)), true, 'reloaded');
	assert.equal(arrive(new Memory(() => area)), false, 'the note serves once');
});

test('a sender’s spot is on the stage, and beside the log where there is room', () => {
	for (let i = 0; i < 500; i++) {
		for (const wide of [false, true]) {
			const { x, y, turn } = spotOf(`member${i}`, wide);
			assert.ok(x >= 5 && x <= 95 && y >= 10 && y <= 80 && Math.abs(turn) <= 8);
			if (wide) assert.ok(x <= 16 || x >= 84);
		}
	}
});
