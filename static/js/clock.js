// The time, as it is handed to those who must be testable without waiting.
export const clock = {
	now: () => Date.now(),
	setTimeout: (f, ms) => setTimeout(f, ms),
	clearTimeout: (timer) => clearTimeout(timer),
};
