// Makes and updates elements. Text is always set as text, never as markup.

/** An element with class, text, attributes, listeners (functions) and children. */
export function h(tag, props = {}, ...children) {
	const el = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (value === undefined || value === false || value === '') continue;
		if (name === 'class') el.className = value;
		else if (name === 'text') el.textContent = value;
		else if (typeof value === 'function') el.addEventListener(name, value);
		else el.setAttribute(name, value === true ? '' : value);
	}
	el.append(...children);
	return el;
}

const shown = new WeakMap(); // element → the text that put() gave it

/**
 * Changes a text in place: a screen reader reads out what is added to the log, not what changes in it. A translator may have put elements
 * in the place of the text, so the page remembers the text that it has set.
 */
export function put(el, text) {
	if (shown.get(el) === text) return el;
	shown.set(el, text);
	const first = el.firstChild;
	if (!first) el.append(text);
	else if (first.nodeType === Node.TEXT_NODE) first.data = text;
	else first.replaceWith(text);
	return el;
}

/** Makes the children of a container match rows, each with a key. Nodes (key → node) are kept, and moved only when necessary. */
export function reconcile(container, nodes, rows, make, update) {
	const wanted = new Set(rows.map((row) => row.key));
	for (const [key, node] of nodes) {
		if (wanted.has(key)) continue;
		node.remove();
		nodes.delete(key);
	}
	let next = container.firstChild;
	for (const row of rows) {
		let node = nodes.get(row.key);
		if (node) update(node, row);
		else nodes.set(row.key, (node = make(row)));
		if (node === next) next = next.nextSibling;
		else container.insertBefore(node, next);
	}
}

const LINK = /\bhttps?:\/\/[^\s<>"'`「」『』（）【】、。]+/gi;

const CLOSING = { '(': ')', '[': ']', '{': '}' };

/** An address without the punctuation of the sentence around it. A closing bracket belongs to the address if its opening one does. */
function trimAddress(address) {
	const open = { ')': 0, ']': 0, '}': 0 };
	let end = 0;
	for (let i = 0; i < address.length; i++) {
		const c = address[i];
		const isInside = c in open ? open[c] > 0 && open[c]-- : !'([{.,;:!?'.includes(c);
		if (c in CLOSING) open[CLOSING[c]]++;
		if (isInside) end = i + 1;
	}
	return address.slice(0, end);
}

function parseURL(address) {
	try {
		return new URL(address);
	} catch {
		return null;
	}
}

/** A text as nodes, with its http and https addresses as links. */
export function linked(text) {
	const out = document.createDocumentFragment();
	let from = 0;
	for (const match of text.matchAll(LINK)) {
		const address = trimAddress(match[0]);
		const url = parseURL(address);
		if (!url) continue;
		out.append(text.slice(from, match.index));
		const rel = 'noopener noreferrer nofollow';
		out.append(h('a', { href: url.href, rel, target: '_blank', text: address }));
		from = match.index + address.length;
	}
	out.append(text.slice(from));
	return out;
}
