// A click on the head of a column sorts the table by it; a second click turns the order round.
document.addEventListener("click", (event) => {
  const button = event.target.closest("table.sortable th button");
  if (!button) return;
  const head = button.closest("th");
  const column = [...head.parentNode.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  head.parentNode.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = button.closest("table").tBodies[0];
  const value = (row) => row.cells[column].textContent;
  const order = (a, b) => {
    const [x, y] = [Number(value(a)), Number(value(b))];
    return Number.isNaN(x) || Number.isNaN(y) ? value(a).localeCompare(value(b)) : x - y;
  };
  const rows = [...body.rows].sort(order);
  body.append(...(down ? rows.reverse() : rows));
});

// A formula in a line of text that is wider than a telephone scrolls by itself: it would be cut off.
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const right = document.documentElement.clientWidth - 16;
  for (const formula of document.querySelectorAll('mjx-container:not([display="true"])')) {
    const box = formula.getBoundingClientRect();
    if (box.right <= right + 16) continue;
    formula.classList.add("wide");
    formula.style.maxWidth = `${right - formula.getBoundingClientRect().left}px`;
  }
});
