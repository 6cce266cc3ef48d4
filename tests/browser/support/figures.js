/** Returns the number that a tile of the dashboard shows. */
export async function tile(page, name) {
  const text = await page.locator('.tile', { has: page.getByText(name, { exact: true }) }).locator('.value').textContent();
  return Number(text.replace(/[^0-9.]/g, ''));
}

/** Returns the body rows of the table with this caption. */
export const rows = (page, caption) => page.getByRole('table', { name: caption, exact: true }).locator('tbody tr');
