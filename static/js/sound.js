// A woodblock sounds for each shout, if the reader has switched it on. If there are several tabs, only the one that was used last makes a
// sound.

import { hash } from './text.js';

const VOICES = 8;
const LENGTH = 0.08; // s
const SCALE = [0, 2, 4, 7, 9, 12, 14, 16, 19, 21]; // two octaves of a pentatonic scale, in semitones above the base
const BASE = 392; // Hz
const PARTIALS = [[1, 0.5], [2.76, 0.18]]; // the partial tones of a struck bar: multiple of the pitch, loudness

export function createSound(tabs) {
	let volume = 0; // from 0 (off) to 1
	let context = null;
	let playing = 0;
	let leads = true;

	function lead() {
		leads = true;
		tabs?.postMessage('lead');
		if (volume) context?.resume();
	}

	function strike(pitch, level) {
		const at = context.currentTime;
		const tone = context.createOscillator();
		const gain = context.createGain();
		tone.frequency.setValueAtTime(pitch * 1.06, at);
		tone.frequency.exponentialRampToValueAtTime(pitch, at + 0.012);
		gain.gain.setValueAtTime(volume * level, at);
		gain.gain.exponentialRampToValueAtTime(0.0001, at + LENGTH);
		tone.connect(gain).connect(context.destination);
		tone.start(at);
		tone.stop(at + LENGTH);
		return tone;
	}

	tabs?.addEventListener('message', ({ data }) => data === 'lead' && (leads = false));
	addEventListener('focus', lead);
	lead();

	return {
		lead,
		/** Browsers allow sound only after a gesture, so lead() is called for each press. */
		setVolume(v) {
			volume = v;
			if (v && 'AudioContext' in globalThis) context ??= new AudioContext();
			lead();
		},
		ring(sender) {
			if (!volume || !leads || playing >= VOICES || context?.state !== 'running') return;
			const pitch = BASE * 2 ** (SCALE[hash(sender) % SCALE.length] / 12);
			const [tone] = PARTIALS.map(([times, level]) => strike(pitch * times, level));
			playing++;
			tone.onended = () => playing--;
		},
	};
}
