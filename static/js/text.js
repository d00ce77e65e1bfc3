// What a text is: its length, its shouts, its language; and what tells senders apart. No DOM.

const SHOUT = /どやさ|ドヤサ/g;
// Each repetition ends where the next must begin, so matching is linear in the length of the text.
const ONLY_SHOUTS = /^\s*(?:(?:どやさ|ドヤサ)[\s!！ー〜～っッ…。、♪]*)+$/;
const LONGEST_SHOUT = 16384; // UTF-16 units; a longer text is prose, whatever it repeats

export const WORD = 'どやさ';

const encoder = new TextEncoder();
const segmenter = new Intl.Segmenter();

/** The unit of text_bytes. */
export const utf8Length = (text) => encoder.encode(text).length;

/** How many どやさ a text holds. */
export const countShouts = (text) => text.match(SHOUT)?.length ?? 0;

/** Whether a text is nothing but どやさ, so that the log may fold it. */
export const isShout = (text) => text.length <= LONGEST_SHOUT && ONLY_SHOUTS.test(text);

/** How many どやさ fit into that many bytes; at least one. */
export const shoutsPerText = (bytes) => Math.max(1, Math.floor(bytes / utf8Length(WORD)));

/** The graphemes of a text, lazily: what a reader would call characters. */
export function* graphemes(text) {
	for (const { segment } of segmenter.segment(text)) yield segment;
}

/** How many graphemes of a text are beyond that many bytes. */
export function overflow(text, bytes) {
	let over = 0;
	let used = 0;
	for (const g of graphemes(text)) {
		used += utf8Length(g);
		if (used > bytes) over++;
	}
	return over;
}

/** At most limit UTF-16 units, cut between graphemes (inside a monstrous one, between code points). */
export function beginning(text, limit) {
	if (text.length <= limit) return text;
	let cut = segmenter.segment(text.slice(0, limit + 256)).containing(limit).index || limit;
	if (cut < limit / 2) cut = limit;
	if (/[\uD800-\uDBFF]/.test(text[cut - 1])) cut--;
	return text.slice(0, cut);
}

/** The language whose glyphs a text wants, or ''. Han alone is read as Japanese here. */
export function languageOf(text) {
	if (/[\u3040-\u30ff\uff66-\uff9f]/.test(text)) return 'ja';
	if (/[\uac00-\ud7af]/.test(text)) return 'ko';
	return /[\u3400-\u9fff]/.test(text) ? 'ja' : '';
}

/** A name as it may be sent: 1 to 32 graphemes, nothing that rewrites its neighbours; '' when it may not. */
export function cleanName(raw) {
	const name = raw.normalize('NFC').trim();
	if (/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(name) || !/[^\p{Cf}\p{Z}]/u.test(name)) return '';
	let n = 0;
	for (const _ of graphemes(name)) if (++n > 32) return '';
	return name;
}

/** A small stable number (FNV-1a): a sender's hue, spot and pitch come from it. */
export function hash(text) {
	let h = 0x811c9dc5;
	for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
	return h >>> 0;
}

export const HUES = 12;
const owners = [];

/** A sender's hue. The first twelve who are seen have one each, and the first few of them unlike ones. */
export function hueOf(sender) {
	const has = owners.indexOf(sender);
	if (has >= 0) return has;
	const own = hash(sender) % HUES;
	const free = Array.from({ length: HUES }, (_, i) => (own + i) % HUES).filter((hue) => !owners[hue]);
	const hue = free.find((h) => !owners[(h + 1) % HUES] && !owners[(h + HUES - 1) % HUES]) ?? free[0] ?? own;
	owners[hue] ??= sender;
	return hue;
}
