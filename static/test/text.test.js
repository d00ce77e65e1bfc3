import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as text from '../js/text.js';
import { uuid } from '../js/uuid.js';

test('shouts are counted in any text, and only pure ones fold', () => {
	const rows = [
		['どやさ', 1, true], ['どやさどやさどやさ', 3, true], ['どやさ！どやさ〜', 2, true], [' ドヤサ\nどやさ ', 2, true],
		['そりゃどやさ', 1, false], ['どやさって何', 1, false], ['どや', 0, false], ['', 0, false], ['！！', 0, false],
	];
	for (const [s, n, pure] of rows) {
		assert.equal(text.countShouts(s), n, s);
		assert.equal(text.isShout(s), pure, s);
	}
});

test('a hostile text is matched in linear time', () => {
	const begin = performance.now();
	assert.equal(text.isShout('どやさ！'.repeat(4000) + 'x'), false);
	assert.equal(text.isShout('どやさ' + '！'.repeat(16000) + 'x'), false);
	assert.ok(performance.now() - begin < 1000);
});

test('lengths: bytes for the server, graphemes for people', () => {
	assert.equal(text.utf8Length('どa👨‍👩‍👧'), 3 + 1 + 18);
	assert.equal(text.shoutsPerText(4096), 455);
	assert.equal(text.shoutsPerText(1), 1);
	assert.equal(text.overflow('どやさ', 9), 0);
	assert.equal(text.overflow('どやさ', 8), 1);
	assert.equal(text.overflow('👨‍👩‍👧👨‍👩‍👧', 20), 1);
});

test('a cut falls between graphemes, or at worst between code points', () => {
	const family = '👨‍👩‍👧';
	assert.equal(text.beginning('abc', 5), 'abc');
	assert.equal(text.beginning(family.repeat(1000), 20), family.repeat(2));
	assert.equal(text.beginning('👍'.repeat(50), 33), '👍'.repeat(16));
	const zalgo = 'Z' + '\u0301'.repeat(5000);
	assert.equal(text.beginning(zalgo, 100).length, 100);
	assert.equal(text.beginning('a' + '😀'.repeat(5), 2), 'a');
	assert.equal(text.beginning('Z' + '\u{1d165}'.repeat(100), 50), 'Z' + '\u{1d165}'.repeat(24), 'no half of a surrogate pair');
});

test('the language of a text is told by its script', () => {
	assert.equal(text.languageOf('漢字とかな'), 'ja');
	assert.equal(text.languageOf('안녕'), 'ko');
	assert.equal(text.languageOf('骨'), 'ja');
	assert.equal(text.languageOf('plain'), '');
});

const table = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));

test('names: the page takes exactly those that the server takes', () => {
	for (const { in: name, times = 1, want, why = '' } of table('names.json')) {
		assert.equal(text.cleanName(name.repeat(times)), want.repeat(times), `${JSON.stringify(name)} × ${times} ${why}`);
	}
	assert.equal(text.cleanName('a' + '\u0301'.repeat(500)), '');
	assert.equal(text.cleanName('a\ud800'), '', 'half of a surrogate pair');
});

test('texts: every kind of line end becomes one, and no other control character goes out', () => {
	for (const { in: given, want } of table('texts.json')) assert.equal(text.cleanText(given), want, JSON.stringify(given));
	assert.equal(text.cleanText('\u001b[31mred\u001b[0m\u0000\u007f\u009f'), '[31mred[0m');
	assert.equal(text.cleanText(' a\u2028\u200bどやさ '), 'a\u2028\u200bどやさ');
});

test('graphemes, without Intl.Segmenter', () => {
	const rows = [
		'👨‍👩‍👧', '🇯🇵', '👍🏽', '1️⃣', 'e\u0301', 'が', 'か\u3099', 'ｶﾞ', 'น้ำ', 'க்', 'தி', '한', '\u1112\u1161\u11ab', '\r\n', '\n', '\u200b', 'a\u200d', '🏴\u{e0067}\u{e007f}', ' ', '\ud800',
	];
	assert.deepEqual(text.graphemes(rows.join('x')), rows.join('\0x\0').split('\0'));
	assert.deepEqual(text.graphemes('🇯🇵🇫🇷🇩'), ['🇯🇵', '🇫🇷', '🇩']);
	assert.deepEqual(text.graphemes(''), []);
});

test('the first twelve senders have a hue each, and everybody keeps theirs', () => {
	const hues = () => Array.from({ length: 400 }, (_, i) => text.hueOf(`member${i}`));
	const first = hues();
	assert.deepEqual(first.slice(0, text.HUES).sort((a, b) => a - b), Array.from({ length: text.HUES }, (_, i) => i));
	assert.ok(first.every((hue) => hue >= 0 && hue < text.HUES));
	assert.deepEqual(hues(), first);
});

test('uuid: version 7, time first, unique', () => {
	const id = uuid(0x0199a8e2b3c4);
	assert.match(id, /^0199a8e2-b3c4-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
	assert.equal(new Set(Array.from({ length: 1000 }, () => uuid())).size, 1000);
});
