// UUIDs of version 7 (RFC 9562 section 5.7). crypto.randomUUID is missing on plain http, where many try a room first.

/** A new id whose first 48 bits are the time, in milliseconds since 1970. */
export function uuid(now = Date.now()) {
	const b = crypto.getRandomValues(new Uint8Array(16));
	for (let i = 0; i < 6; i++) b[i] = Math.floor(now / 2 ** (40 - 8 * i)) % 256;
	b[6] = 0x70 | (b[6] & 0x0f);
	b[8] = 0x80 | (b[8] & 0x3f);
	const hex = Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
	return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
