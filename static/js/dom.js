// Making and keeping elements. Text goes in as text, never as markup.

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

/**
 * Makes a container's children follow rows, each with a key: nodes are kept, and moved only when they must be. nodes: key → node.
 */
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

/** A text as nodes, its http and https addresses as links, and no others. */
export function linked(text) {
	const out = document.createDocumentFragment();
	let from = 0;
	for (const match of text.matchAll(LINK)) {
		const address = match[0].replace(/[.,;:!?)\]}]+$/, '');
		if (!URL.canParse?.(address)) continue;
		out.append(text.slice(from, match.index));
		const rel = 'noopener noreferrer nofollow';
		out.append(h('a', { href: new URL(address).href, rel, target: '_blank', text: address }));
		from = match.index + address.length;
	}
	out.append(text.slice(from));
	return out;
}
