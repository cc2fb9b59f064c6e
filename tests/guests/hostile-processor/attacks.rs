/// Every attack of this guest. The guest has a function for each of them, and so has the
/// suite: whoever adds one without the other does not get it compiled.
macro_rules! attacks {
    ($then:ident) => {
        $then! {
            endless_loop,
            endless_recursion,
            memory_growth,
            huge_result,
            many_results,
            huge_error,
            panic,
            panic_at_some,
            panic_for_south,
            panic_unless_north,
            grown_results,
            state_between_calls,
            second_line,
            other_tenant,
            hidden_tenant,
            terminal_escapes,
        }
    };
}
