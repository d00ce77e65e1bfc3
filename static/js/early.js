// The only script that is not a module. It is ES5, so that a browser that cannot run the modules can say so.

// The theme is set before the first paint. Otherwise the wrong theme would flash.
try {
	document.documentElement.dataset.theme = JSON.parse(localStorage.getItem('doyasa.theme'));
} catch (e) {
	// Storage is blocked: the system's theme applies.
}

// The load event comes after the modules have run or have failed to load. A module that did not arrive, because the connection broke on
// its way, usually arrives when the page is loaded a second time. A browser that cannot run the modules cannot do so the second time either.
addEventListener('load', function () {
	if (window.isRunning && window.WebSocket) return;
	var visit = performance.getEntriesByType && performance.getEntriesByType('navigation')[0];
	if (visit && visit.type !== 'reload') location.reload();
	else document.getElementById('broken').hidden = false;
});
