// UUIDs of version 7 (RFC 9562 section 5.7): 48 bits of time in ms, then random bits. crypto.randomUUID is missing on plain http.

export function uuid(now = Date.now()) {
	const time = now.toString(16).padStart(12, '0');
	const r = Array.from(crypto.getRandomValues(new Uint8Array(19)), (n) => (n % 16).toString(16)).join('');
	const variant = '89ab'[parseInt(r[0], 16) % 4];
	return `${time.slice(0, 8)}-${time.slice(8)}-7${r.slice(1, 4)}-${variant}${r.slice(4, 7)}-${r.slice(7)}`;
}
