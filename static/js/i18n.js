// The page's words. A table is `export default` and plain JSON, so that other tools read it too. No DOM but translate().

import en from './i18n/en.js';
import ja from './i18n/ja.js';

const TABLES = { ja, en };
/** The languages there are, by their own names. */
export const LANGUAGES = { ja: '日本語', en: 'English' };

/** The first language of a list (as navigator.languages) that there is a table for, else English. */
export function chooseLanguage(preferred) {
	for (const tag of preferred) {
		const language = String(tag).toLowerCase().split('-')[0];
		if (Object.hasOwn(TABLES, language)) return language;
	}
	return 'en';
}

/** Words, numbers and dates in one language at a time. */
export class Words {
	#listeners = [];
	#table;
	#plural;
	#number;
	#time;
	#day;
	#full;

	constructor(language) {
		this.use(language);
	}

	use(language) {
		this.language = Object.hasOwn(TABLES, language) ? language : 'en';
		this.#table = TABLES[this.language];
		this.#plural = new Intl.PluralRules(this.language);
		this.#number = new Intl.NumberFormat(this.language);
		this.#time = new Intl.DateTimeFormat(this.language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
		this.#day = new Intl.DateTimeFormat(this.language, { month: 'long', day: 'numeric', weekday: 'long' });
		this.#full = new Intl.DateTimeFormat(this.language, { dateStyle: 'full', timeStyle: 'medium' });
		for (const listener of this.#listeners) listener();
	}

	onChange(listener) {
		this.#listeners.push(listener);
	}

	has(key) {
		return Object.hasOwn(this.#table, key);
	}

	/** The text of a key, {x} replaced by vars.x. An unknown key shows itself. */
	t(key, vars = {}) {
		const text = this.has(key) ? this.#table[key] : key;
		return text.replace(/\{(\w+)\}/g, (_, name) => vars[name] ?? '');
	}

	/** The text of key.one, key.other and so on, by the number. */
	count(key, n) {
		const form = `${key}.${this.#plural.select(n)}`;
		return this.t(this.has(form) ? form : `${key}.other`, { n: this.number(n) });
	}

	number = (n) => this.#number.format(n);
	time = (at) => this.#time.format(at);
	day = (at) => this.#day.format(at);
	full = (at) => this.#full.format(at);

	/** Fills elements with data-t (text), data-t-label (accessible name) and data-t-placeholder. */
	translate(root) {
		root.documentElement.lang = this.language;
		for (const el of root.querySelectorAll('[data-t]')) el.textContent = this.t(el.dataset.t);
		for (const el of root.querySelectorAll('[data-t-label]')) el.setAttribute('aria-label', this.t(el.dataset.tLabel));
		for (const el of root.querySelectorAll('[data-t-placeholder]')) el.placeholder = this.t(el.dataset.tPlaceholder);
	}
}
