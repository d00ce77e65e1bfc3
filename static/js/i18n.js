// The page's texts, in one language at a time. Only translate() uses the DOM.

import phrases from './phrases.js';

/** Each language by its own name, in the order of the columns in phrases.js. */
export const LANGUAGES = { ja: '日本語', en: 'English' };

/** The first language of a list (such as navigator.languages) that the page has, else English. The server names guests by the same rule. */
export function chooseLanguage(preferred) {
	for (const tag of preferred) {
		const language = String(tag).toLowerCase().split('-')[0];
		if (Object.keys(LANGUAGES).includes(language)) return language;
	}
	return 'en';
}

export class Words {
	#listeners = [];
	#column;
	#plural;
	#number;
	#time;
	#day;
	#full;

	constructor(language) {
		this.use(language);
	}

	use(language) {
		this.language = chooseLanguage([language]);
		this.#column = Object.keys(LANGUAGES).indexOf(this.language);
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
		return phrases.hasOwnProperty(key);
	}

	/** The text of a key, with {x} replaced by vars.x. An unknown key is returned as it is. */
	t(key, vars = {}) {
		const text = this.has(key) ? phrases[key][this.#column] : key;
		return text.replace(/\{(\w+)\}/g, (_, name) => vars[name] ?? '');
	}

	count(key, n) {
		const [one, other = one] = this.t(key, { n: this.number(n) }).split('|');
		return this.#plural.select(n) === 'one' ? one : other;
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
