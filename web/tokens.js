// What a bearer token says of its user, unverified: good enough to decide what stays on the screen. Who
// may see or ask what is for the server alone to say.

function subject(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub;
  } catch {
    return undefined; // Not a JWT: nobody's.
  }
}

export function isSameUser(one, other) {
  const user = subject(one);
  return one === other || (user !== undefined && user === subject(other));
}
