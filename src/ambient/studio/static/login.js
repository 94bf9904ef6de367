// The token goes into a cookie that scripts cannot read; it is never in an address.
document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token: document.getElementById("token").value.trim() }),
  });
  if (answer.ok) location.href = "/";
  else document.getElementById("problem").textContent = (await answer.json()).error;
});
