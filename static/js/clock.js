// The time, as those take it who must be testable without waiting.
export const clock = {
	now: () => Date.now(),
	setTimeout: (f, ms) => setTimeout(f, ms),
	clearTimeout: (timer) => clearTimeout(timer),
};
