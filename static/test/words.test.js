import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chooseLanguage, LANGUAGES, Words } from '../js/i18n.js';
import phrases from '../js/phrases.js';

const root = new URL('..', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');

test('every phrase is there in both languages, with the same placeholders', () => {
	const holes = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort().join();
	for (const [key, columns] of Object.entries(phrases)) {
		assert.equal(columns.length, Object.keys(LANGUAGES).length, key);
		for (const form of columns.flatMap((text) => text.split('|'))) assert.ok(form && holes(form) === holes(columns[0]), key);
		assert.match(columns[0], /[ぁ-んァ-ン一-龠]/, key);
		assert.doesNotMatch(columns[1].replaceAll('どやさ', ''), /[ぁ-んァ-ン一-龠]/, key);
	}
});

test('the phrases are plain JSON behind `export default`, so that others may read them', () => {
	const [, json] = /^(?:\/\/ .*\n)+export default (\{[^]*\});\n$/.exec(read('js/phrases.js'));
	assert.deepEqual(JSON.parse(json), phrases);
});

test('every key that is used exists, and every key is used', () => {
	const sources = readdirSync(new URL('js/', root)).filter((f) => f.endsWith('.js') && f !== 'phrases.js').map((f) => read(`js/${f}`)).join('\n') + read('index.html');
	const keys = new Set(Object.keys(phrases));
	const used = [...sources.matchAll(/(?:words\.t|\bt|say|button)\('([a-z_.]+)'|data-t(?:-label|-placeholder)?="([^"]+)"|count\('([a-z_.]+)'/g)];
	assert.ok(used.length > 40);
	for (const key of used.map((found) => found[1] ?? found[2] ?? found[3])) assert.ok(keys.has(key), key);
	const made = /^((error|close|status|composer)\.|panel|log\.(sending|queued)$)/; // made from codes, phases, fates and choices
	for (const key of keys) assert.ok(made.test(key) || sources.includes(key), `${key} is not used`);
});

test('every code of the protocol has words', () => {
	const errors = ['rate_limited', 'bad_json', 'bad_type', 'bad_text', 'text_empty', 'text_too_long', 'bad_id', 'bad_name', 'unknown_type', 'busy', 'internal'];
	const closes = ['bad_room', 'bad_name', 'bad_after', 'too_many_errors', 'rooms_full', 'overtaken', 'pong_timeout', 'internal', 'restart', 'bad_version'];
	for (const code of errors) assert.ok(phrases[`error.${code}`], code);
	for (const code of closes) assert.ok(phrases[`close.${code}`] ?? phrases[`error.${code}`], code);
	for (const phase of ['connecting', 'catching', 'waiting', 'offline', 'refused']) assert.ok(phrases[`status.${phase}`], phase);
	assert.ok(phrases['composer.queue_full']);
});

test('the language is chosen from what the browser prefers', () => {
	for (const { languages, want } of JSON.parse(read('test/languages.json'))) assert.equal(chooseLanguage(languages), want, String(languages));
	assert.equal(new Words('constructor').language, 'en');
});

test('words: placeholders, plurals, and unknown keys', () => {
	const words = new Words('en');
	assert.equal(words.t('status.in', { n: 5 }), 'Reconnecting in 5 s');
	assert.equal(words.t('composer.name', { name: '{n} $& <b>' }), 'Change your name: {n} $& <b>');
	assert.equal(words.count('people', 1), '1 person');
	assert.equal(words.count('people', 1234), '1,234 people');
	assert.equal(words.t('no.such.key'), 'no.such.key');
	words.use('ja');
	assert.equal(words.count('people', 1), '1人');
});
