// Runs before anything is painted, so that a dark page never flashes white.
{
  let scheme = null;
  try {
    scheme = localStorage.getItem('tollgate-scheme');
  } catch {
    // Storage may be off: the system decides.
  }
  if (scheme !== 'light' && scheme !== 'dark') scheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
}
