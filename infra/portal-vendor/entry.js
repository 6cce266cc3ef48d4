export { h, render, Fragment, createContext } from 'preact';
export { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
export { html } from 'htm/preact';
