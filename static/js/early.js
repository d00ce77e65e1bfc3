// Runs before the first paint, so that a chosen paper does not flash. The rest of the page is modules.
try {
	document.documentElement.dataset.theme = JSON.parse(localStorage.getItem('doyasa.theme'));
} catch {
	// Storage is blocked: the system's choice stands.
}
