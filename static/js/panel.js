// The settings: name, people, language, theme, keys, sound. A modal dialog, so the browser takes care of focus and Esc.

import { h } from './dom.js';
import { LANGUAGES } from './i18n.js';
import { cleanName } from './text.js';

const LISTED = 20;
// The choices: values with their labels. Some labels are keys of phrases.js. The first value is the default.
const CHOICES = {
	language: Object.entries(LANGUAGES),
	theme: ['auto', 'light', 'dark'].map((v) => [v, `panel.theme.${v}`]),
	enter: [['enter', 'Enter'], ['ctrl', 'Ctrl+Enter']],
	sound: [['0', 'panel.sound.off'], ['0.25', 'panel.sound.low'], ['0.8', 'panel.sound.high']],
};

/** chosen(key) → the stored choice, or null. choose(key, value) is called for each choice, rename(name) for a new name. */
export function createPanel({ el, words, store, chosen, choose, rename }) {
	const { panel: dialog, nameForm: form, name, nameHint: hint, peopleNames: people } = el;

	function say(key, bad) {
		hint.dataset.t = key;
		hint.textContent = words.t(key);
		hint.classList.toggle('bad', bad);
		name.setAttribute('aria-invalid', bad);
	}

	function showPeople() {
		const { count, names } = store.people;
		const rows = names.slice(0, LISTED).map((person) => h('li', {}, h('bdi', { dir: 'auto', text: person })));
		const rest = count - rows.length;
		if (rest > 0) rows.push(h('li', { class: 'rest', text: words.count('log.others', rest) }));
		people.replaceChildren(...rows);
	}

	for (const opener of document.querySelectorAll('[data-opens]')) {
		opener.addEventListener('click', () => {
			name.value = store.you.name;
			say('panel.name.hint', false);
			showPeople();
			dialog.showModal();
			if (opener.dataset.opens === 'name') name.select();
		});
	}
	dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
	form.addEventListener('submit', (event) => {
		event.preventDefault();
		const chosen = cleanName(name.value);
		if (!chosen) return say('error.bad_name', true);
		rename(chosen);
		dialog.close();
	});
	name.addEventListener('input', () => say('panel.name.hint', false));
	for (const [key, values] of Object.entries(CHOICES)) {
		const now = chosen(key) ?? values[0][0];
		const options = values.map(([value, label]) => {
			const input = h('input', { type: 'radio', name: key, value, checked: value === now, change: () => choose(key, value) });
			return h('label', {}, input, h('span', { 'data-t': label }));
		});
		const legend = h('legend', { 'data-t': `panel.${key}` });
		el.choices.append(h('fieldset', {}, legend, h('div', { class: 'pick' }, ...options)));
	}

	return { showPeople: () => dialog.open && showPeople() };
}
