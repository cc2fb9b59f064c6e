/// Every attack of this guest. The guest has a function for each of them, and so has the
/// suite: whoever adds one without the other does not get it compiled.
macro_rules! attacks {
    ($then:ident) => {
        $then! {
            endless_loop,
            memory_growth,
            huge_result,
            second_line,
            quoted_line,
            zero_separator,
            unclosed_quote,
            too_few_events,
            too_many_events,
            two_events_for_one,
            other_tenant,
            hidden_tenant,
            two_records,
            absurd_separator,
            escapes_in_describe,
            huge_header,
            header_of_two_lines,
            header_that_is_a_record,
            terminal_escapes,
        }
    };
}
