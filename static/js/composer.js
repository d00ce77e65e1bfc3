// The text field. It never sends a word that is still being composed, and does not change the field during a composition. It keeps a text
// that was refused.

import { cleanText, overflow, utf8Length } from './text.js';

const FAR = 8; // graphemes are not counted in texts longer than this many times the limit

/** Whether a key press sends the text: Enter, or Ctrl or Command with Enter if the reader chose that. An Enter that ends a composition does not. */
export function sends(event, { composing, withCtrl, touch }) {
	// Safari ends the composition before its Enter arrives. Older input methods mark it with keyCode 229.
	if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229 || composing) return false;
	if (event.ctrlKey || event.metaKey) return true;
	return !withCtrl && !touch && !event.shiftKey && !event.altKey;
}

/** say(text) returns '' or an error code. limit() returns the limit in bytes. keep(draft) stores the text that is not sent yet. */
export function createComposer({ el: { composer: form, field, send, hint }, words, say, limit, draft, keep }) {
	const touch = matchMedia('(pointer: coarse)').matches;
	let withCtrl = false;
	let composing = false;
	let last = '';

	/** Says by how much a text is too long; '' when it fits. */
	function excess(text) {
		const most = limit();
		if (text.length * 3 <= most || utf8Length(text) <= most) return '';
		if (text.length > most * FAR) return words.t('error.text_too_long');
		return words.count('composer.too_long', overflow(text, most));
	}

	function complain(text) {
		hint.textContent = text;
		field.setAttribute('aria-invalid', text !== '');
	}

	function edited() {
		const text = cleanText(field.value);
		const complaint = excess(text);
		complain(complaint);
		send.disabled = !text || complaint !== '';
		keep(field.value.length > limit() * FAR ? null : field.value || null);
		if (CSS.supports('field-sizing', 'content')) return;
		field.style.setProperty('height', 'auto');
		field.style.setProperty('height', `${field.scrollHeight}px`);
	}

	function replace(text) {
		field.value = text;
		edited();
	}

	function submit() {
		const text = cleanText(field.value);
		if (composing || !text || excess(text)) return;
		const code = say(text);
		if (code) return complain(words.t(`composer.${code}`));
		last = text;
		replace('');
	}

	field.enterKeyHint = touch ? 'enter' : 'send';
	field.addEventListener('compositionstart', () => (composing = true));
	// The Enter that ends a composition may come right after it, so the flag is cleared a moment later.
	field.addEventListener('compositionend', () => setTimeout(() => (composing = false)));
	field.addEventListener('input', edited);
	field.addEventListener('keydown', (event) => {
		if (sends(event, { composing, withCtrl, touch })) {
			event.preventDefault();
			if (!event.repeat) submit();
		} else if (event.key === 'ArrowUp' && !field.value && last && !composing) {
			event.preventDefault();
			replace(last);
		}
	});
	form.addEventListener('submit', (event) => {
		event.preventDefault();
		submit();
	});
	if (draft && !field.value) field.value = draft; // the reader may have typed before this script ran
	edited();
	return {
		sendWithCtrl: (yes) => (withCtrl = yes),
		/** Puts a text before the text in the field. */
		edit(text) {
			replace([text, field.value].filter(Boolean).join('\n'));
			field.focus();
		},
	};
}
