// What the parts of the form share.

import { createContext, useContext } from 'react';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import type { PreviewEndpointResponse } from '@/gen/tollgate/control/v1/endpoint_pb';

export interface Wrong {
  /** Field of the form: "targets[0].url". */
  field: string;
  code: string;
  text: string;
  /** Another object that it is about. */
  object: string;
}

export interface FormContext {
  draft: Endpoint;
  /** What is stored; undefined for a new endpoint. */
  base: Endpoint | undefined;
  change(edit: (e: Endpoint) => void): void;
  /** Address of the gateway, without a slash at its end. */
  gateway: string;
  preview: PreviewEndpointResponse | undefined;
  /** What is wrong at a field or below it, as far as it is time to say so. */
  wrong(field: string): Wrong[];
  /** What may be meant otherwise. */
  notes(field: string): Wrong[];
  /** The field was left: from now on it may be told what is wrong with it. */
  touch(field: string): void;
  /** What a field holds that the endpoint cannot, such as "5 apples" for a time; empty for nothing. */
  local(field: string, text: string): void;
  disabled: boolean;
}

export const Form = createContext<FormContext | undefined>(undefined);

export function useForm(): FormContext {
  const form = useContext(Form);
  if (!form) throw new Error('used outside of the form');
  return form;
}

/** Codes of what is worth saying while somebody still types: it will not go away by typing on. */
export const early = new Set([
  'path_taken', 'methods_overlap', 'path_reserved', 'path_query', 'path_chars', 'name_taken', 'target_loop', 'target_metadata', 'target_userinfo',
  'target_fragment', 'header_dup', 'header_hop', 'header_host', 'secret_missing',
]);
