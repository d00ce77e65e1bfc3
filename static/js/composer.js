// The text line. It never sends a half-composed word, nor touches the field while composing, and keeps what was refused.

import { overflow, utf8Length } from './text.js';

const FAR = 8; // times the limit beyond which graphemes are not counted

/** Whether a key press ends the text: Enter alone, or with Ctrl or Command when that is wished. Composition's Enter is not ours. */
export function sends(event, { composing, withCtrl, touch }) {
	// Safari ends the composition before its Enter arrives; keyCode 229 is the sign older input methods give.
	if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229 || composing) return false;
	if (event.ctrlKey || event.metaKey) return true;
	return !withCtrl && !touch && !event.shiftKey && !event.altKey;
}

/** say(text) → '' or a code; limit() → bytes; keep(draft) remembers what is not sent yet. */
export function createComposer({ el: { composer: form, field, send, hint }, words, say, limit, draft, keep }) {
	const touch = matchMedia('(pointer: coarse)').matches;
	let withCtrl = false;
	let composing = false;
	let last = '';

	/** What is too much about a text, in words; '' when it fits. */
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
		const text = field.value.trim();
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
		const text = field.value.trim();
		if (composing || !text || excess(text)) return;
		const code = say(text);
		if (code) return complain(words.t(`composer.${code}`));
		last = text;
		replace('');
	}

	field.enterKeyHint = touch ? 'enter' : 'send';
	field.addEventListener('compositionstart', () => (composing = true));
	// The Enter that ends a composition may come right behind it: the flag falls a moment later.
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
	if (draft && !field.value) field.value = draft; // something may have been typed before this ran
	edited();
	return { sendWithCtrl: (yes) => (withCtrl = yes) };
}
