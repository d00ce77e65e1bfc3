// What a tab and a browser remember. Where storage is blocked or full, the page's own memory serves.

/** JSON values by key. area() gives sessionStorage or localStorage, and may throw. */
export class Memory {
	#area = null;
	#prefix = 'doyasa.';
	#own = new Map();

	constructor(area) {
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

/** Whether this tab may go on as who it was: it left before (see leave). A duplicated one has the storage of a tab that has not. */
export function arrive(tab) {
	const left = tab.get('left') === true;
	tab.set('left', null);
	return left;
}

/** Notes that this tab is leaving, or out of sight: the next to find the note is the same tab. */
export const leave = (tab) => tab.set('left', true);

/** To this browser's other tabs; undefined where that is blocked. */
export function channel() {
	try {
		return new BroadcastChannel('doyasa');
	} catch {
		return undefined;
	}
}
