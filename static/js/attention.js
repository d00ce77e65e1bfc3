// Unread messages: their number in the title and on the icon, and the place of the unread line.

const counted = (n) => `data:image/svg+xml,${encodeURIComponent(
	'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="16" fill="#C8321A"/>' +
		`<text x="16" y="23" font-size="20" font-weight="700" text-anchor="middle" fill="#fff">${Math.min(n, 99)}</text></svg>`,
)}`;

export function watchAttention({ el: { icon }, store }) {
	const plain = icon.href;
	let placed = true; // whether the newest message is in the part of the log that is shown
	let present = true; // whether the tab is visible and the newest message is shown
	let leftAt = 0; // store.arrived when present became false
	let shown = 0;
	let title = '';
	let written = ''; // the title that this module has set last. The browser's translator may have changed document.title since.

	function show() {
		const n = present ? 0 : store.arrived - leftAt;
		const text = n ? `(${n > 99 ? '99+' : n}) ${title}` : title;
		if (text !== written) document.title = written = text;
		if (n === shown) return;
		shown = n;
		icon.href = n ? counted(n) : plain;
		const badge = n ? navigator.setAppBadge?.(n) : navigator.clearAppBadge?.();
		badge?.catch(() => {});
	}

	function turned() {
		const before = present;
		present = placed && document.visibilityState === 'visible';
		if (before && !present) {
			leftAt = store.arrived;
			store.timeline.mark = { era: store.timeline.era, seq: store.last ?? 0 };
		} else if (!before && present && store.arrived === leftAt) store.timeline.mark = null; // no message came meanwhile
		show();
	}

	document.addEventListener('visibilitychange', turned);
	return {
		place(isPlaced) {
			placed = isPlaced;
			turned();
		},
		show(name) {
			title = name;
			show();
		},
		/** The seq of the last message that the reader has read. */
		read: () => (present ? store.last : store.timeline.mark?.seq) ?? 0,
	};
}
