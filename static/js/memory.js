// What a tab and a browser remember. Where storage is blocked or full, values are kept until the page ends.

/** JSON values by key. area() returns sessionStorage or localStorage, and may throw. */
export class Memory {
	#area = null;
	#prefix = 'doyasa.';
	#own = new Map();

	constructor(area) {
		try {
			this.#area = area();
		} catch {
			// Storage is blocked. #own keeps the values.
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

	set(key, value) {
		try {
			if (value === null) this.#area.removeItem(this.#prefix + key);
			else this.#area.setItem(this.#prefix + key, JSON.stringify(value));
			this.#own.delete(key);
		} catch {
			this.#own.set(key, value);
		}
	}
}

/** Whether this tab may continue its session: it has left before (see leave). A duplicate has a copy of the storage of a tab that has not left. */
export function arrive(tab) {
	const left = tab.get('left') === true;
	tab.set('left', null);
	return left;
}

/** Stores that this tab is leaving or hidden, so that it may continue its session when it returns. */
export const leave = (tab) => tab.set('left', true);

/** A channel to the browser's other tabs, or undefined where the browser has none. */
export function channel() {
	try {
		return new BroadcastChannel('doyasa');
	} catch {
		return undefined;
	}
}
