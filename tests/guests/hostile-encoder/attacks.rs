/// Every attack of this guest. The guest has a function for each of them, and so has the
/// suite: whoever adds one without the other does not get it compiled.
macro_rules! attacks {
    ($then:ident) => {
        $then! {
            endless_loop,
            memory_growth,
            huge_result,
            second_line,
            unclosed_quote,
            too_few_events,
            terminal_escapes,
        }
    };
}
