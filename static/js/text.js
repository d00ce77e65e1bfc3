// Texts and names: which ones may be sent, how long they are, which are shouts, their language, and the number from which a sender's hue
// comes. No DOM.

const SHOUT = /どやさ|ドヤサ/g;
// No character of the trailing class can begin a shout. So a text can be split into repetitions in only one way, the engine has nothing to
// try again, and matching takes linear time.
const ONLY_SHOUTS = /^\s*(?:(?:どやさ|ドヤサ)[\s!！ー〜～っッ…。、♪]*)+$/;
const LONGEST_SHOUT = 16384; // UTF-16 units; a longer text is never folded

export const WORD = 'どやさ';

const encoder = new TextEncoder();
// One character as a reader counts it (Unicode Standard Annex 29, close to the version that the server has). Intl.Segmenter is missing in
// some browsers. In others it has a newer version of Unicode than the server, and would accept names that the server refuses.
const EXTEND = /(?![\u102b\u102c\u1038\u1062-\u1064\u1067-\u106d\u1083\u1087-\u108c\u108f\u109a-\u109c])[\p{Gr_Ext}\p{EMod}\p{Mc}\u200d\u0e33\u0eb3]/u;
const EMOJI = /\p{ExtPict}(?:[\p{Gr_Ext}\p{EMod}]*\u200d\p{ExtPict})*/u;
const HANGUL = /(?=[\u1100-\u11ff\uac00-\ud7a3])[\u1100-\u115f]*[\uac00-\ud7a3]?[\u1160-\u11ff]*/u;
const CONTROL = /(?![\p{Gr_Ext}\u200d])[\p{Cc}\p{Cf}\u2028\u2029]/u;
const OTHERS = `\\p{RI}{2}|${EMOJI.source}|${HANGUL.source}|.`;
const GRAPHEME = new RegExp(`\\r\\n|${CONTROL.source}|(?:${OTHERS})(?:${EXTEND.source})*`, 'gsu');

export const graphemes = (text) => text.match(GRAPHEME) ?? [];

/** The length in UTF-8 bytes, the unit of text_bytes. */
export const utf8Length = (text) => encoder.encode(text).length;

/** How many どやさ a text holds. */
export const countShouts = (text) => text.match(SHOUT)?.length ?? 0;

/** Whether a text is only どやさ, so that the log may fold it. */
export const isShout = (text) => text.length <= LONGEST_SHOUT && ONLY_SHOUTS.test(text);

/** How many どやさ fit into the given number of bytes; at least one. */
export const shoutsPerText = (bytes) => Math.max(1, Math.floor(bytes / utf8Length(WORD)));

/** How many graphemes of a text begin or end after the given number of bytes. */
export function overflow(text, bytes) {
	let over = 0;
	let used = 0;
	for (const g of graphemes(text)) {
		used += utf8Length(g);
		if (used > bytes) over++;
	}
	return over;
}

/** At most limit UTF-16 units, cut between graphemes. A grapheme longer than half of that is cut between code points. */
export function beginning(text, limit) {
	if (text.length <= limit) return text;
	let cut = 0;
	for (const g of graphemes(text.slice(0, limit + 256))) {
		if (cut + g.length > limit) break;
		cut += g.length;
	}
	if (cut < limit / 2) cut = limit;
	if (/[\uD800-\uDBFF]/.test(text[cut - 1])) cut--;
	return text.slice(0, cut);
}

/** The language whose glyphs suit a text, or ''. A text of Han characters alone counts as Japanese. */
export function languageOf(text) {
	if (/[\u3040-\u30ff\uff66-\uff9f]/.test(text)) return 'ja';
	if (/[\uac00-\ud7af]/.test(text)) return 'ko';
	return /[\u3400-\u9fff]/.test(text) ? 'ja' : '';
}

// Characters that can be seen on their own. The ranges are fillers and format characters that Unicode does not count as default-ignorable.
const SEEN = /[^\p{White_Space}\p{Cc}\p{DI}\u2800\ufff9-\ufffb\u{13430}-\u{1343f}\u{16fe4}\u{1d159}]/u;

/**
 * A text as it is sent, or '' if nothing in it can be seen. Every kind of line end is \n. Other control characters show nothing, and the
 * server refuses them.
 */
export function cleanText(text) {
	if (!SEEN.test(text)) return '';
	return text.replace(/\r\n|[\r\v\f\x85]/g, '\n').replace(/[^\P{Cc}\n\t]/gu, '').trim();
}

const HARMFUL = /[\p{Cc}\p{Bidi_C}\u2028\u2029]/u; // characters that change how the text around them is shown
const VISIBLE = /(?![\u115f\u1160\u2800\u3164\uffa0\u{1d159}])[\p{L}\p{N}\p{P}\p{S}\p{Zs}\p{Mc}]/u; // characters that can be seen; the fillers at the beginning are excluded, because they are letters without a shape

/** A name as the server takes it, by the same rules (test/names.json tests both), or ''. */
export function cleanName(raw) {
	const name = raw.normalize('NFC').replace(/^\p{White_Space}+|\p{White_Space}+$/gu, '');
	const all = graphemes(name);
	const isShort = all.length > 0 && all.length <= 32 && utf8Length(name) <= 256;
	return isShort && !HARMFUL.test(name) && all.every((g) => VISIBLE.test(g)) ? name : '';
}

/** A stable 32-bit number (FNV-1a), from which a sender's hue, spot and pitch come. */
export function hash(text) {
	let h = 0x811c9dc5;
	for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
	return h >>> 0;
}

export const HUES = 12;
const owners = [];

/** A sender's hue. The first twelve senders have one each, and the first few of these are far apart. */
export function hueOf(sender) {
	const has = owners.indexOf(sender);
	if (has >= 0) return has;
	const own = hash(sender) % HUES;
	const free = Array.from({ length: HUES }, (_, i) => (own + i) % HUES).filter((hue) => !owners[hue]);
	const hue = free.find((h) => !owners[(h + 1) % HUES] && !owners[(h + HUES - 1) % HUES]) ?? free[0] ?? own;
	owners[hue] ??= sender;
	return hue;
}
