/**
 * Is the address that the payer sees still the one the server gave?
 *
 * Malware that swaps addresses does it in the page or on its way. Every snapshot is read from the books, so an address
 * that differs between two of them, or between them and what stands on the screen, was changed by somebody else.
 */

/** Marks the element that shows the address. */
export const addressId = "address"

export const isTampered = (given: string | null, received: string | null): boolean => {
  if (given !== received) return true
  const shown = document.getElementById(addressId)?.textContent?.replaceAll(/\s/g, "")
  return shown !== undefined && shown !== given
}
