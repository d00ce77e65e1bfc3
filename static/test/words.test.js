import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chooseLanguage, Words } from '../js/i18n.js';
import en from '../js/i18n/en.js';
import ja from '../js/i18n/ja.js';

const root = new URL('..', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');

test('both tables have the same keys and placeholders, and no empty text', () => {
	assert.deepEqual(Object.keys(ja), Object.keys(en));
	const holes = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort().join();
	for (const key of Object.keys(en)) {
		assert.ok(en[key] && ja[key], key);
		assert.equal(holes(ja[key]), holes(en[key]), key);
	}
});

test('tables are plain JSON behind `export default`, so that others may read them', () => {
	for (const language of ['ja', 'en']) {
		const source = read(`js/i18n/${language}.js`);
		assert.match(source, /^export default \{[^]*\};\n$/);
		JSON.parse(source.slice('export default '.length, -2));
	}
});

test('every key that is used exists, and every key is used', () => {
	const sources = readdirSync(new URL('js/', root)).filter((f) => f.endsWith('.js')).map((f) => read(`js/${f}`)).join('\n') + read('index.html');
	const keys = new Set(Object.keys(en));
	const used = [...sources.matchAll(/(?:words\.t|\bt|say|button)\('([a-z_.]+)'|data-t(?:-label|-placeholder)?="([^"]+)"|count\('([a-z_.]+)'/g)];
	for (const [, key, attribute, counted] of used) {
		if (counted) for (const form of ['one', 'other']) assert.ok(keys.has(`${counted}.${form}`), counted);
		else if (key ?? attribute) assert.ok(keys.has(key ?? attribute), key ?? attribute);
	}
	const made = /^((error|close|status|composer)\.|panel|log\.(sending|queued)$)/; // made from codes, phases, fates and choices
	for (const key of keys) assert.ok(made.test(key) || sources.includes(key.replace(/\.(one|other)$/, '')), `${key} is not used`);
});

test('every code of the protocol has words', () => {
	const errors = ['rate_limited', 'bad_json', 'bad_type', 'bad_text', 'text_empty', 'text_too_long', 'bad_id', 'bad_name', 'unknown_type', 'busy', 'internal'];
	const closes = ['bad_room', 'bad_name', 'bad_after', 'too_many_errors', 'rooms_full', 'overtaken', 'connections_full', 'restart', 'bad_version'];
	for (const code of errors) assert.ok(en[`error.${code}`], code);
	for (const code of closes) assert.ok(en[`close.${code}`], code);
	for (const phase of ['connecting', 'catching', 'waiting', 'offline', 'refused']) assert.ok(en[`status.${phase}`], phase);
	assert.ok(en['composer.queue_full']);
});

test('the language is chosen from what the browser prefers', () => {
	for (const [list, want] of [[['ja-JP', 'en'], 'ja'], [['fr', 'ja'], 'ja'], [['en-GB'], 'en'], [['fr'], 'en'], [[], 'en'], [['constructor'], 'en']]) {
		assert.equal(chooseLanguage(list), want, String(list));
	}
	assert.equal(new Words('constructor').language, 'en');
});

test('words: placeholders, plurals, and unknown keys', () => {
	const words = new Words('en');
	assert.equal(words.t('status.in', { n: 5 }), 'Again in 5 s');
	assert.equal(words.t('composer.name', { name: '{n} $& <b>' }), 'Change your name: {n} $& <b>');
	assert.equal(words.count('people', 1), '1 person');
	assert.equal(words.count('people', 1234), '1,234 people');
	assert.equal(words.t('no.such.key'), 'no.such.key');
	words.use('ja');
	assert.equal(words.count('people', 1), '1人');
});
