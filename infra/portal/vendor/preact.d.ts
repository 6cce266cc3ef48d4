// What vendor/preact.js exports, for the type check of tests/browser alone; browsers never load it.
export { h, render, Fragment, createContext } from 'preact';
export type { VNode, ComponentChildren } from 'preact';
export { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
export { html } from 'htm/preact';
