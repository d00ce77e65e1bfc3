// What a tab and a browser remember. Storage may be blocked, full or wiped: then the page's own memory serves.

/** A small store of JSON values under a common prefix. area() gives sessionStorage or localStorage, and may throw. */
export class Memory {
	#area = null;
	#prefix;
	#own = new Map();

	constructor(area, prefix = 'doyasa.') {
		this.#prefix = prefix;
		try {
			this.#area = area();
		} catch {
			// Blocked. #own serves.
		}
	}

	get(key) {
		if (this.#own.has(key)) return this.#own.get(key);
		try {
			return JSON.parse(this.#area?.getItem(this.#prefix + key) ?? 'null');
		} catch {
			return null;
		}
	}

	/** Remembers a value; null forgets the key. */
	set(key, value) {
		try {
			if (value === null) this.#area.removeItem(this.#prefix + key);
			else this.#area.setItem(this.#prefix + key, JSON.stringify(value));
			this.#own.delete(key);
		} catch {
			this.#own.set(key, value);
		}
	}

	/** The key a storage event speaks of, or ''. */
	keyOf(event) {
		return event.key?.startsWith(this.#prefix) ? event.key.slice(this.#prefix.length) : '';
	}
}

/**
 * Whether this tab may go on as who it was. A duplicated one inherits the storage of a tab that has not left, and becomes a member of
 * its own; a reloaded or restored one left before (see leave), or was discarded by the browser.
 */
export function arrive(tab, discarded) {
	const left = tab.get('left') === true;
	tab.set('left', null);
	return left || discarded;
}

/** Notes that this tab is leaving: the next to find the note is the same tab. */
export const leave = (tab) => tab.set('left', true);
