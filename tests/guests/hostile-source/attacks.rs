/// Every attack of this guest. The guest has a function for each of them, and so has the
/// suite: whoever adds one without the other does not get it compiled.
macro_rules! attacks {
    ($then:ident) => {
        $then! {
            endless_loop,
            endless_recursion,
            memory_growth,
            handle_leak,
            huge_result,
            many_results,
            huge_error,
            panic,
            trap_in_a_request,
            request_held_open,
            body_never_read,
            thousands_of_requests,
            forged_headers,
            header_and_url_injection,
            wrong_content_length,
            forbidden_addresses,
            state_between_calls,
            second_line,
            other_tenant,
            terminal_escapes,
            stored_in_the_host,
            headers_without_end,
            bodies_never_sent,
            requests_never_ended,
            overlapping_ranges,
            other_tenant_in_part,
            denied_in_silence,
        }
    };
}
